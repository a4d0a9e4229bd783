-- Counts by time, as `store::analytics` says: unit 0 is a minute, 1 a quarter of an hour, 2 a day; `at`
-- is the unit's beginning. `detail` holds what is not to be added up by SQL.

-- Of each endpoint (0: of messages, which have none) and event type ('': of what never became an event).
CREATE TABLE rollup (
    app_no INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    at INTEGER NOT NULL,
    endpoint_no INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    detail BLOB NOT NULL,
    PRIMARY KEY (app_no, unit, at, endpoint_no, event_type)
) WITHOUT ROWID;

-- Of each application.
CREATE TABLE rollup_app (
    org_no INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    at INTEGER NOT NULL,
    app_no INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    detail BLOB NOT NULL,
    PRIMARY KEY (org_no, unit, at, app_no)
) WITHOUT ROWID;

-- Of each event type, in all applications.
CREATE TABLE rollup_type (
    org_no INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    detail BLOB NOT NULL,
    PRIMARY KEY (org_no, unit, at, event_type)
) WITHOUT ROWID;

-- How far counting has come. Minutes from `counted` on are counted anew at the next start: what was in
-- memory may be missing in them. Quarters and days before theirs are complete; of the units from the last two
-- marks on all parts are there.
CREATE TABLE rolled_up (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    counted INTEGER NOT NULL,
    quarters INTEGER NOT NULL,
    days INTEGER NOT NULL,
    minutes_kept INTEGER NOT NULL,
    quarters_kept INTEGER NOT NULL
);
INSERT INTO rolled_up VALUES (0, 0, 0, 0, 0, 0);

-- Endpoints that only fail are few.
CREATE INDEX endpoint_failing ON endpoint (first_failure_at)
    WHERE first_failure_at IS NOT NULL AND deleted_at IS NULL;
