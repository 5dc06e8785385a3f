ALTER TABLE reading ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
UPDATE reading SET state = id % 3;
CREATE INDEX reading_by_state ON reading (state);
