-- How far a task is: the messages that it has looked at, and how many there were to send when it began
-- (null: more than could be counted, or nobody counted).
ALTER TABLE task ADD COLUMN scanned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN total INTEGER;
-- Of the tasks that send to an endpoint (by now they do not only recover it), one is open at a time;
-- one that is paused is open.
DROP INDEX task_endpoint;
CREATE INDEX task_endpoint ON task (endpoint)
    WHERE status IN ('"running"', '"paused"') AND endpoint IS NOT NULL;
