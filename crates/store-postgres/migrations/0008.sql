-- The headers of endpoints at revisions that are past: what an attempt sent is calculated from them. A
-- revision that a node of the release before ended, or that ended before history begins, has no row.
CREATE TABLE past_headers (
    org bytea NOT NULL,
    app bytea NOT NULL,
    endpoint bytea NOT NULL,
    revision integer NOT NULL,
    headers bytea,               -- as the endpoint's were: sealed JSON, null is none
    replaced_at bigint NOT NULL,
    PRIMARY KEY (org, app, endpoint, revision)
);
-- Retention.
CREATE INDEX past_headers_replaced_at ON past_headers (replaced_at);
