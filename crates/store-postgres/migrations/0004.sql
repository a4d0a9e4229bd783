-- What people call a token (JSON); how much it may do (0 everything, 1 only read); its SHA-256, by which
-- it is revoked (null: a release before this one made it); when it was last used, a minute late or more.
-- Nodes of the release before write none of these, and make no tokens that may only read.
ALTER TABLE token ADD COLUMN name text;
ALTER TABLE token ADD COLUMN access smallint NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN hash bytea;
ALTER TABLE token ADD COLUMN last_used_at bigint;
