-- The headers of endpoints at revisions that are past: what an attempt sent is calculated from them. A
-- revision that ended before this table was there, or before history begins, has no row.
CREATE TABLE past_headers (
    no INTEGER PRIMARY KEY,
    endpoint_no INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    headers BLOB,                -- as the endpoint's were: sealed JSON, null is none
    replaced_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX past_headers_revision ON past_headers (endpoint_no, revision);
-- Retention.
CREATE INDEX past_headers_replaced_at ON past_headers (replaced_at);
