-- Counts by time, as `store::analytics` says: unit 0 is a minute, 1 a quarter of an hour, 2 a day; `at`
-- is the unit's beginning. `detail` holds what is not to be added up by SQL. Nodes of the release before
-- do not count: what they do while they run beside this one is counted where a shard of theirs is taken
-- over (attempts), or not at all (messages).

-- Messages, and what sources made no event of (event type ''), by minutes: counted by the transaction
-- that stores them, in parts that no two writers share. All of it is changed in place.
CREATE TABLE traffic (
    org bytea NOT NULL,
    app bytea NOT NULL,
    at bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    slot smallint NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    unaccepted_0 bigint NOT NULL DEFAULT 0, -- by `Unaccepted`
    unaccepted_1 bigint NOT NULL DEFAULT 0,
    unaccepted_2 bigint NOT NULL DEFAULT 0,
    unaccepted_3 bigint NOT NULL DEFAULT 0,
    unaccepted_4 bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org, app, at, event_type, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
-- Those of a time, of all applications.
CREATE INDEX traffic_at ON traffic (org, at, app);

-- Attempts of each endpoint and event type: only the owner of the endpoint's shard writes its minutes.
-- Of larger units also messages (endpoint '') and what never became an event (event type '').
CREATE TABLE rollup (
    org bytea NOT NULL,
    app bytea NOT NULL,
    unit smallint NOT NULL,
    at bigint NOT NULL,
    endpoint bytea NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    attempts bigint NOT NULL,
    successes bigint NOT NULL,
    retries bigint NOT NULL,
    detail bytea NOT NULL,
    PRIMARY KEY (org, app, unit, at, endpoint, event_type)
) WITH (fillfactor = 70);

-- Of each application: attempts of minutes, everything of larger units. A row of each node that
-- counted; slot 0 is that of larger units.
CREATE TABLE rollup_app (
    org bytea NOT NULL,
    unit smallint NOT NULL,
    at bigint NOT NULL,
    app bytea NOT NULL,
    slot smallint NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    attempts bigint NOT NULL,
    successes bigint NOT NULL,
    retries bigint NOT NULL,
    detail bytea NOT NULL,
    PRIMARY KEY (org, unit, at, app, slot)
) WITH (fillfactor = 70);

-- Of each event type, in all applications; likewise.
CREATE TABLE rollup_type (
    org bytea NOT NULL,
    unit smallint NOT NULL,
    at bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    slot smallint NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    attempts bigint NOT NULL,
    successes bigint NOT NULL,
    retries bigint NOT NULL,
    detail bytea NOT NULL,
    PRIMARY KEY (org, unit, at, event_type, slot)
) WITH (fillfactor = 70);

-- Attempts of a shard are counted in all minutes before `up_to`. From then on something may be missing,
-- which the next owner finds. 0: counting has not begun.
CREATE TABLE counted (
    shard smallint PRIMARY KEY,
    up_to bigint NOT NULL
) WITH (fillfactor = 30);
INSERT INTO counted SELECT s, 0 FROM generate_series(0, 1023) s;

-- How far rolling up has come. Whoever counts something in a time before `begun` lowers what is complete
-- to it, but not below what is `kept`, and says so in `late`.
CREATE TABLE rolled_up (
    id smallint PRIMARY KEY CHECK (id = 0),
    quarters bigint NOT NULL,     -- those before are complete
    days bigint NOT NULL,         -- likewise
    begun bigint NOT NULL,        -- the end of the last quarter that was begun
    late bigint NOT NULL,         -- counts what came late
    minutes_kept bigint NOT NULL, -- those before are gone
    quarters_kept bigint NOT NULL -- likewise
) WITH (fillfactor = 30);
INSERT INTO rolled_up VALUES (0, 0, 0, 0, 0, 0, 0);

-- Endpoints that only fail are few.
CREATE INDEX endpoint_failing ON endpoint (org, first_failure_at)
    WHERE first_failure_at IS NOT NULL AND deleted_at IS NULL;
