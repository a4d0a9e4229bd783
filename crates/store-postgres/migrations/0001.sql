-- Ids are 20 raw bytes whose order is that of time. Times are microseconds since 1970, UTC.
-- Every key is led by organization and application, but for `due` (by its shard) and the nodes' own
-- tables. No foreign key, unique index or sequence crosses tenants. Text that is compared is in the
-- order of its bytes. Free text stands in JSON, because a NUL may be in it and not in a `text`.

-- What there is one of: the check value of the master key, and how far retention has come.
CREATE TABLE meta (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE organization (
    org bytea PRIMARY KEY,
    settings text NOT NULL,      -- JSON
    version bigint NOT NULL      -- counts changes of settings and event types
);

CREATE TABLE application (
    org bytea NOT NULL,
    app bytea NOT NULL,
    uid text COLLATE "C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,     -- counts changes of it and its endpoints
    doc text NOT NULL,           -- JSON: all else
    PRIMARY KEY (org, app)
);
CREATE UNIQUE INDEX application_uid ON application (org, uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE endpoint (
    org bytea NOT NULL,
    app bytea NOT NULL,
    endpoint bytea NOT NULL,
    uid text COLLATE "C",
    url bytea NOT NULL,          -- text, or sealed if it holds a password
    url_sealed boolean NOT NULL,
    disabled boolean NOT NULL,
    headers bytea,               -- sealed JSON
    secrets bytea NOT NULL,      -- sealed JSON
    first_failure_at bigint,
    revision integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    doc text NOT NULL,           -- JSON: all else
    PRIMARY KEY (org, app, endpoint)
);
CREATE UNIQUE INDEX endpoint_uid ON endpoint (org, app, uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE event_type (
    org bytea NOT NULL,
    name text COLLATE "C" NOT NULL,
    archived boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    doc text NOT NULL,           -- JSON: all else
    PRIMARY KEY (org, name)
);

-- What changed of the catalogue, for nodes that keep it in memory. A row is seen by whoever asks for
-- all whose transaction was not over when it last asked: see `feed.rs`.
CREATE TABLE catalog_change (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    org bytea NOT NULL,
    app bytea,                   -- null: settings and event types
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX catalog_change_xid ON catalog_change (xid);

-- History. In partitions by time: made ahead, dropped when their time is over. What belongs to none
-- (and what is older and still has work) is in the default one.
CREATE TABLE message (
    org bytea NOT NULL,
    app bytea NOT NULL,
    id bytea NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    channels text,               -- joined by commas, which no channel holds
    tags text,                   -- likewise
    event_id text COLLATE "C",
    has_payload boolean NOT NULL, -- false once expunged
    content_type text,           -- null is application/json
    headers text,                -- JSON, null is none
    origin smallint NOT NULL,
    created_at bigint NOT NULL,
    deliver_at bigint,
    expires_at bigint NOT NULL,
    ordering_key bytea,          -- for ordered delivery, unused so far
    priority smallint,           -- unused so far
    routed integer NOT NULL,     -- number of automatic deliveries
    endpoints bytea NOT NULL,    -- ids of all endpoints it ever went to
    PRIMARY KEY (org, app, id)
) PARTITION BY RANGE (id);
CREATE INDEX message_event_id ON message (org, app, event_id, id) WHERE event_id IS NOT NULL;
CREATE TABLE message_default PARTITION OF message DEFAULT;

-- Bodies, apart from their messages, by when they expire. A message whose row here is gone, or whose
-- `expires_at` retention has reached, has no body any more.
CREATE TABLE payload (
    org bytea NOT NULL,
    app bytea NOT NULL,
    message bytea NOT NULL,
    expires_at bigint NOT NULL,
    codec smallint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (org, app, message, expires_at)
) PARTITION BY RANGE (expires_at);
CREATE TABLE payload_default PARTITION OF payload DEFAULT;

-- What became of each delivery, pending or ended: inserted with its message and changed in place.
CREATE TABLE delivery (
    org bytea NOT NULL,
    app bytea NOT NULL,
    endpoint bytea NOT NULL,
    message bytea NOT NULL,
    delivery bytea NOT NULL,
    trigger smallint NOT NULL,
    attempts integer NOT NULL,
    next_due bigint,             -- null once ended
    state smallint,              -- null while pending
    cause smallint,
    last_status integer,
    ended_at bigint,
    attempt_ids bytea NOT NULL,  -- 20 bytes each
    PRIMARY KEY (org, app, endpoint, message, delivery)
) PARTITION BY RANGE (message);
CREATE TABLE delivery_default PARTITION OF delivery DEFAULT;

CREATE TABLE attempt (
    org bytea NOT NULL,
    app bytea NOT NULL,
    endpoint bytea NOT NULL,
    id bytea NOT NULL,
    message bytea NOT NULL,
    delivery bytea NOT NULL,
    number integer NOT NULL,
    trigger smallint NOT NULL,
    class smallint NOT NULL,
    status_code integer,
    response bytea NOT NULL,
    duration bigint NOT NULL,    -- microseconds
    retry_after bigint,          -- microseconds
    timed_out boolean NOT NULL,
    started_at bigint NOT NULL,
    revision integer NOT NULL,   -- of the endpoint
    url text NOT NULL,           -- as shown
    secrets bytea NOT NULL,      -- 20 bytes each
    body_hash bytea NOT NULL,
    superseded boolean NOT NULL,
    PRIMARY KEY (org, app, endpoint, id)
) PARTITION BY RANGE (id);
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;

-- What is to be done. A row is here exactly as long as work remains. All of it is dead soon after it
-- was written: room in its pages, and a vacuum that does not wait.
CREATE TABLE due (
    shard smallint NOT NULL,
    endpoint bytea NOT NULL,
    due bigint NOT NULL,
    delivery bytea NOT NULL,
    org bytea NOT NULL,
    app bytea NOT NULL,
    message bytea NOT NULL,
    trigger smallint NOT NULL,
    attempts integer NOT NULL,
    give_up_at bigint NOT NULL,  -- when its payload goes
    ordering_key bytea,          -- for ordered delivery, unused so far
    priority smallint,           -- unused so far
    PRIMARY KEY (shard, endpoint, due, delivery)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 1, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

-- Rows of `due` of each application, in parts that no two writers share.
CREATE TABLE pending (
    org bytea NOT NULL,
    app bytea NOT NULL,
    slot smallint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (org, app, slot)
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);

-- Up to when the attempts of an application with a rate limit are given out to the owners of its endpoints.
CREATE TABLE app_limit (
    org bytea NOT NULL,
    app bytea NOT NULL,
    next bigint NOT NULL,
    PRIMARY KEY (org, app)
) WITH (fillfactor = 30);

CREATE TABLE claim (
    org bytea NOT NULL,
    key bytea NOT NULL,
    message bytea NOT NULL,
    made_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (org, key)
);
CREATE INDEX claim_expires_at ON claim (expires_at);

CREATE TABLE response (
    org bytea NOT NULL,
    key bytea NOT NULL,
    status integer NOT NULL,
    body bytea NOT NULL,         -- sealed
    expires_at bigint NOT NULL,
    PRIMARY KEY (org, key)
);
CREATE INDEX response_expires_at ON response (expires_at);

CREATE TABLE token (
    org bytea NOT NULL,
    id bytea NOT NULL,
    app bytea,
    session_id text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX token_expires_at ON token (expires_at);

CREATE TABLE revocation (
    id bytea PRIMARY KEY,
    token bytea,                 -- SHA-256 of one token, or else:
    org bytea,
    app bytea,
    session_id text,             -- null: all sessions of the application
    issued_until bigint NOT NULL, -- tokens issued later are good
    at bigint NOT NULL,          -- refused from then on
    forget_at bigint NOT NULL
);
CREATE INDEX revocation_forget_at ON revocation (forget_at);

CREATE TABLE task (
    org bytea NOT NULL,
    id bytea NOT NULL,
    shard smallint NOT NULL,     -- its owner runs it
    kind text NOT NULL,          -- the API's name of it
    endpoint bytea,              -- the one that is recovered; null for other kinds
    data text NOT NULL,          -- JSON
    status text NOT NULL,        -- JSON
    cursor bytea,
    done bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX task_running ON task (shard, updated_at) WHERE status = '"running"';
CREATE UNIQUE INDEX task_endpoint ON task (org, endpoint)
    WHERE status = '"running"' AND endpoint IS NOT NULL;
CREATE INDEX task_ended ON task (id) WHERE status <> '"running"';

CREATE TABLE audit (
    org bytea NOT NULL,
    id bytea NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail text NOT NULL,        -- JSON
    PRIMARY KEY (org, id)
);
CREATE INDEX audit_at ON audit (at);

-- The nodes, and who owns which shard. Times here are the database's own.
CREATE TABLE node (
    id bytea PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leaving boolean NOT NULL DEFAULT false
) WITH (fillfactor = 30);

CREATE TABLE lease (
    shard smallint PRIMARY KEY,
    node bytea,                  -- null: nobody's
    epoch bigint NOT NULL        -- counts owners
) WITH (fillfactor = 30);
INSERT INTO lease SELECT s, NULL, 0 FROM generate_series(0, 1023) s;
