-- What people call a token; how much it may do (0 everything, 1 only read); its SHA-256, by which it is
-- revoked (null: a release before this one made it); when it was last used, a minute late or more.
ALTER TABLE token ADD COLUMN name TEXT;
ALTER TABLE token ADD COLUMN access INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN hash BLOB;
ALTER TABLE token ADD COLUMN last_used_at INTEGER;
CREATE INDEX token_org ON token (org, id);
