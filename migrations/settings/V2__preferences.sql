-- What the owner chose.
CREATE TABLE preference (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    changed_at TEXT NOT NULL DEFAULT '1970-01-01T00:00:00Z'
) WITHOUT ROWID;

INSERT INTO preference (name, value) VALUES
    ('language', 'en_GB'),
    ('unit_temperature', 'celsius'),
    ('upload_interval_s', '60');
