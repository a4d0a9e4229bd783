-- What an organization wants to hear of.
CREATE TABLE alert_rule (
    org BLOB NOT NULL,
    id BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    doc TEXT NOT NULL,           -- JSON: all but its channels
    channels BLOB NOT NULL,      -- sealed JSON
    PRIMARY KEY (org, id)
) WITHOUT ROWID;

-- Rules that fired.
CREATE TABLE alert (
    no INTEGER PRIMARY KEY,
    org BLOB NOT NULL,
    id BLOB NOT NULL,
    rule BLOB NOT NULL,
    subject TEXT NOT NULL,       -- what it is about, as a key
    open INTEGER NOT NULL,       -- it is not over
    live INTEGER NOT NULL,       -- or somebody is still to be told
    doc TEXT NOT NULL            -- JSON: all of it
);
CREATE UNIQUE INDEX alert_id ON alert (org, id);
-- A rule fires once for a subject until that is over.
CREATE UNIQUE INDEX alert_rule_subject ON alert (org, rule, subject) WHERE open;
CREATE INDEX alert_open ON alert (org, id) WHERE open;
CREATE INDEX alert_live ON alert (org, id) WHERE live;
-- Retention.
CREATE INDEX alert_over ON alert (id) WHERE NOT live;
