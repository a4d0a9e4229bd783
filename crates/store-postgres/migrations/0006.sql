-- What an organization wants to hear of.
CREATE TABLE alert_rule (
    org bytea NOT NULL,
    id bytea NOT NULL,
    updated_at bigint NOT NULL,
    doc text NOT NULL,           -- JSON: all but its channels
    channels bytea NOT NULL,     -- sealed JSON
    PRIMARY KEY (org, id)
);

-- Rules that fired.
CREATE TABLE alert (
    org bytea NOT NULL,
    id bytea NOT NULL,
    rule bytea NOT NULL,
    subject text COLLATE "C" NOT NULL, -- what it is about, as a key
    open boolean NOT NULL,       -- it is not over
    live boolean NOT NULL,       -- or somebody is still to be told
    doc text NOT NULL,           -- JSON: all of it
    PRIMARY KEY (org, id)
);
-- A rule fires once for a subject until that is over, whichever nodes look at it.
CREATE UNIQUE INDEX alert_rule_subject ON alert (org, rule, subject) WHERE open;
CREATE INDEX alert_open ON alert (org, id) WHERE open;
CREATE INDEX alert_live ON alert (org, id) WHERE live;
-- Retention.
CREATE INDEX alert_over ON alert (id) WHERE NOT live;
