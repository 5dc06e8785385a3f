CREATE TABLE preference (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO preference SELECT 'sensors', count(*) FROM sensor;
UPDATE reading SET note = note || ' (moved)';
