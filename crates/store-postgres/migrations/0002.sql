-- Nodes of the release before go on beside those of this one for a while. They name the columns that
-- they write, so that what is new here may be null or have a default; and they leave it as it is.

-- What an application receives by, if it is a source: sealed JSON, null for customers. (One that such a
-- node deletes keeps it, out of reach.)
ALTER TABLE application ADD COLUMN source bytea;
-- Few applications are sources: a list of them passes no customer.
CREATE INDEX application_source ON application (org, app)
    WHERE source IS NOT NULL AND deleted_at IS NULL;

-- What a caller would have done to an endpoint's payloads: sealed JSON, null is none.
ALTER TABLE endpoint ADD COLUMN transformation bytea;

-- Requests that sources refused, for a short time.
CREATE TABLE rejected (
    org bytea NOT NULL,
    app bytea NOT NULL,
    id bytea NOT NULL,
    at bigint NOT NULL,
    status integer NOT NULL,     -- what was answered
    body_bytes bigint NOT NULL,  -- of which there may be less here
    expires_at bigint NOT NULL,
    content bytea NOT NULL,      -- sealed: all else
    PRIMARY KEY (org, app, id)
);
CREATE INDEX rejected_expires_at ON rejected (expires_at);
