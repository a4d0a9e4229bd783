-- Nodes of the release before go on beside those of this one for a while. They do not know tasks that find
-- something out: such a node runs no task while one of its shards has one of these that runs, and goes on
-- when the node is replaced. Nothing is lost meanwhile.

-- What a task has found out (JSON), where that is what it is for.
ALTER TABLE task ADD COLUMN result text;
