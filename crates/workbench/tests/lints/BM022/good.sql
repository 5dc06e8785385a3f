CREATE TABLE reading (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    value REAL NOT NULL DEFAULT 0
);
CREATE INDEX reading_by_site ON reading (site_id);
INSERT INTO reading (id, site_id, value) SELECT id, site_id, value FROM sensor;
DROP TABLE sensor;
