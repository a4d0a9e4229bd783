-- What an application receives by, if it is a source: sealed JSON, null for customers and for what was
-- deleted.
ALTER TABLE application ADD COLUMN source BLOB;
-- Few applications are sources: a list of them passes no customer.
CREATE INDEX application_source ON application (org_no, id)
    WHERE source IS NOT NULL AND deleted_at IS NULL;

-- What a caller would have done to an endpoint's payloads: sealed JSON, null is none.
ALTER TABLE endpoint ADD COLUMN transformation BLOB;

-- Requests that sources refused, for a short time.
CREATE TABLE rejected (
    no INTEGER PRIMARY KEY,
    app_no INTEGER NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER NOT NULL,     -- what was answered
    body_bytes INTEGER NOT NULL, -- of which there may be less here
    expires_at INTEGER NOT NULL,
    content BLOB NOT NULL        -- sealed: all else
);
CREATE UNIQUE INDEX rejected_id ON rejected (app_no, id);
CREATE INDEX rejected_expires_at ON rejected (expires_at);
