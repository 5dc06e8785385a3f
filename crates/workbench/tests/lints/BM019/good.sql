CREATE TABLE sensor_new (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT COLLATE NOCASE,
    value REAL NOT NULL DEFAULT 0
);

INSERT INTO sensor_new (id, site_id, label, value)
SELECT id, site_id, label, value
FROM sensor;

DROP TABLE sensor;
ALTER TABLE sensor_new RENAME TO sensor;
CREATE INDEX sensor_by_site ON sensor (site_id);
CREATE TRIGGER sensor_label AFTER INSERT ON sensor WHEN new.label = '' BEGIN
    UPDATE sensor SET label = NULL WHERE id = new.id;
END;

CREATE TABLE card_new (id INTEGER PRIMARY KEY, code TEXT NOT NULL);
INSERT INTO card_new (id, code) SELECT id, code FROM card;
DROP TABLE card;
ALTER TABLE card_new RENAME TO card;
CREATE UNIQUE INDEX card_by_code ON card (code);

-- The key finds what the index found.
CREATE TABLE badge_new (sensor_id INTEGER NOT NULL, colour TEXT NOT NULL, PRIMARY KEY (sensor_id, colour)) WITHOUT ROWID;
INSERT INTO badge_new (sensor_id, colour) SELECT DISTINCT sensor_id, colour FROM badge;
DROP TABLE badge;
ALTER TABLE badge_new RENAME TO badge;

-- The key is as unique as the index was, and the size goes with its index.
CREATE TABLE photo_new (sensor_id INTEGER PRIMARY KEY, file TEXT);
INSERT INTO photo_new (sensor_id, file) SELECT sensor_id, file FROM photo WHERE sensor_id IS NOT NULL;
DROP TABLE photo;
ALTER TABLE photo_new RENAME TO photo;

-- The index keeps apart what the constraint did, and more.
CREATE TABLE token_new (site_id INTEGER NOT NULL, name TEXT NOT NULL);
INSERT INTO token_new (site_id, name) SELECT site_id, name FROM token;
DROP TABLE token;
ALTER TABLE token_new RENAME TO token;
CREATE UNIQUE INDEX token_by_name ON token (site_id, lower(name));
