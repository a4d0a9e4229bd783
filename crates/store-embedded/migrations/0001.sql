-- Ids are 20 raw bytes whose order is that of time. Times are microseconds since 1970, UTC.
-- Small numbers (`no`) stand for organizations, applications and endpoints in the hot tables.
-- Everything is led by its application or endpoint, so that tenants stay apart and lie together.

-- What there is one of: the check value of the master key.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Counters that every transaction with work in it moves.
CREATE TABLE progress (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    settle_seq INTEGER NOT NULL, -- of the last attempt written
    pending INTEGER NOT NULL,    -- rows of `due`
    swept INTEGER NOT NULL       -- rows of `payload` up to this number are gone for good
);
INSERT INTO progress VALUES (0, 0, 0, 0);

CREATE TABLE organization (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    version INTEGER NOT NULL     -- counts changes of settings and event types
);

CREATE TABLE application (
    no INTEGER PRIMARY KEY,
    org_no INTEGER NOT NULL,
    id BLOB NOT NULL,
    uid TEXT,
    name TEXT NOT NULL,
    throttle_rate INTEGER,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version INTEGER NOT NULL     -- counts changes of it and its endpoints
);
CREATE UNIQUE INDEX application_id ON application (org_no, id);
CREATE UNIQUE INDEX application_uid ON application (org_no, uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE endpoint (
    no INTEGER PRIMARY KEY,
    app_no INTEGER NOT NULL,
    id BLOB NOT NULL,
    lane INTEGER NOT NULL,       -- shard * 2^40 + no: where its rows of `due` are
    uid TEXT,
    url BLOB NOT NULL,           -- text, or sealed bytes if it holds a password
    description TEXT NOT NULL,
    throttle_rate INTEGER,
    version INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    event_types TEXT,            -- JSON
    channels TEXT,               -- JSON
    metadata TEXT NOT NULL,      -- JSON
    headers BLOB,                -- sealed JSON
    secrets BLOB NOT NULL,       -- sealed JSON
    retry_schedule TEXT,         -- JSON
    first_failure_at INTEGER,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
);
CREATE UNIQUE INDEX endpoint_id ON endpoint (app_no, id);
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app_no, uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;

-- What an attempt needs to know of the endpoint as it was. Never changes.
CREATE TABLE endpoint_revision (
    endpoint_no INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    url TEXT NOT NULL,           -- as shown, without credentials
    PRIMARY KEY (endpoint_no, revision)
) WITHOUT ROWID;

CREATE TABLE event_type (
    org_no INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    archived INTEGER NOT NULL,
    deprecated INTEGER NOT NULL,
    schemas TEXT,                -- JSON
    group_name TEXT,
    feature_flags TEXT NOT NULL, -- JSON
    schema_mode TEXT,            -- JSON
    retry_schedule TEXT,         -- JSON
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (org_no, name)
) WITHOUT ROWID;

CREATE TABLE message (
    app_no INTEGER NOT NULL,
    id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    channels TEXT,               -- joined by commas, which no channel holds
    tags TEXT,                   -- likewise
    event_id TEXT,
    payload INTEGER,             -- row of `payload`; null once expunged
    content_type TEXT,           -- null is application/json
    headers TEXT,                -- JSON, null is none
    origin INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deliver_at INTEGER,
    expires_at INTEGER NOT NULL,
    ordering_key BLOB,           -- for ordered delivery, unused so far
    priority INTEGER,            -- unused so far
    routed INTEGER NOT NULL,     -- number of automatic deliveries
    endpoints BLOB NOT NULL,     -- numbers of all endpoints it ever went to, as varints
    PRIMARY KEY (app_no, id)
) WITHOUT ROWID;
CREATE INDEX message_event_id ON message (app_no, event_id) WHERE event_id IS NOT NULL;

-- Bodies, apart from their messages and in order of expiry: id = minute of expiry * 2^36 + sequence.
-- Whole minutes go at a time. A message whose row here is gone has no body any more.
CREATE TABLE payload (
    id INTEGER PRIMARY KEY,
    codec INTEGER NOT NULL,
    body BLOB NOT NULL
);

-- What is to be done. A row is here exactly as long as work remains.
CREATE TABLE due (
    lane INTEGER NOT NULL,
    due INTEGER NOT NULL,
    delivery_id BLOB NOT NULL,
    app_no INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    trigger INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    give_up_at INTEGER NOT NULL,
    ordering_key BLOB,           -- for ordered delivery, unused so far
    priority INTEGER,            -- unused so far
    PRIMARY KEY (lane, due, delivery_id)
) WITHOUT ROWID;

-- What became of it, pending or ended: one row that is inserted with the message and changed in
-- place, instead of a lookup row at the beginning and a result row at the end. It also lists the
-- attempts, so that those of a message are found without a second index on them.
CREATE TABLE delivery (
    endpoint_no INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    delivery_id BLOB NOT NULL,
    trigger INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_due INTEGER,            -- null once ended
    state INTEGER,               -- null while pending
    cause INTEGER,
    last_status INTEGER,
    ended_at INTEGER,
    attempt_ids BLOB NOT NULL,   -- 20 bytes each
    PRIMARY KEY (endpoint_no, message_id, delivery_id)
) WITHOUT ROWID;

CREATE TABLE attempt (
    endpoint_no INTEGER NOT NULL,
    id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    delivery_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    trigger INTEGER NOT NULL,
    class INTEGER NOT NULL,
    status_code INTEGER,
    response BLOB NOT NULL,
    duration INTEGER NOT NULL,   -- microseconds
    retry_after INTEGER,         -- microseconds
    timed_out INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    url TEXT,                    -- null: that of the endpoint's revision
    secrets BLOB NOT NULL,       -- 20 bytes each
    body_hash BLOB NOT NULL,
    superseded INTEGER NOT NULL,
    seq INTEGER NOT NULL,        -- order of settling in this store
    PRIMARY KEY (endpoint_no, id)
) WITHOUT ROWID;

-- Young claims, in the order in which they were made: see `claims.rs`.
CREATE TABLE claim_recent (
    no INTEGER PRIMARY KEY,
    org_no INTEGER NOT NULL,
    key BLOB NOT NULL,
    message_id BLOB NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE claim (
    org_no INTEGER NOT NULL,
    key BLOB NOT NULL,
    message_id BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (org_no, key)
) WITHOUT ROWID;

CREATE TABLE response (
    org_no INTEGER NOT NULL,
    key BLOB NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,          -- sealed
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (org_no, key)
) WITHOUT ROWID;

CREATE TABLE token (
    id BLOB PRIMARY KEY,
    org BLOB NOT NULL,
    app BLOB,
    session_id TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_expires_at ON token (expires_at);

CREATE TABLE revocation (
    no INTEGER PRIMARY KEY,
    token BLOB,                  -- SHA-256 of one token, or else:
    org BLOB,
    app BLOB,
    session_id TEXT,             -- null: all sessions of the application
    issued_until INTEGER NOT NULL, -- tokens issued later are good
    at INTEGER NOT NULL,         -- refused from then on
    forget_at INTEGER NOT NULL
);
CREATE INDEX revocation_forget_at ON revocation (forget_at);

CREATE TABLE task (
    id BLOB PRIMARY KEY,
    org BLOB NOT NULL,
    kind TEXT NOT NULL,          -- the API's name of it
    endpoint BLOB,               -- the one that is recovered; null for other kinds
    data TEXT NOT NULL,          -- JSON
    status TEXT NOT NULL,        -- JSON
    cursor BLOB,
    done INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX task_org ON task (org, id);
CREATE INDEX task_running ON task (id) WHERE status = '"running"';
CREATE INDEX task_endpoint ON task (endpoint) WHERE status = '"running"' AND endpoint IS NOT NULL;

CREATE TABLE audit (
    no INTEGER PRIMARY KEY,
    org_no INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL         -- JSON
);
CREATE INDEX audit_org ON audit (org_no, at);
