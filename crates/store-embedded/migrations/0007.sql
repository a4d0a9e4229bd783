-- What a task has found out (JSON), where that is what it is for.
ALTER TABLE task ADD COLUMN result TEXT;
