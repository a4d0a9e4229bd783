-- Nodes of the release before go on beside those of this one for a while. They know neither paused nor
-- cancelled tasks nor replays: such a node runs no task while one of its shards has a replay that runs,
-- and goes on when that has ended or the node is replaced. Nothing is lost meanwhile.

-- How far a task is: the messages that it has looked at, and how many there were to send when it began
-- (null: more than could be counted, or nobody counted).
ALTER TABLE task ADD COLUMN scanned bigint NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN total bigint;
-- Of the tasks that send to an endpoint (by now they do not only recover it), one is open at a time;
-- one that is paused is open. That one runs at a time is task_endpoint's to say.
CREATE INDEX task_open ON task (org, endpoint)
    WHERE status IN ('"running"', '"paused"') AND endpoint IS NOT NULL;
