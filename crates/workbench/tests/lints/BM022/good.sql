CREATE TABLE reading (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    value REAL NOT NULL DEFAULT 0
);
CREATE INDEX reading_by_site ON reading (site_id);
INSERT INTO reading (id, site_id, value) SELECT id, site_id, value FROM sensor;
DROP TABLE sensor;

-- An UPDATE takes along what is still needed.
ALTER TABLE site ADD COLUMN place TEXT;
UPDATE site SET place = (SELECT text FROM address WHERE address.site_id = site.id) WHERE place IS NULL;
DROP TABLE address;
