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

CREATE TABLE card_new (id INTEGER PRIMARY KEY, code TEXT NOT NULL COLLATE NOCASE);
INSERT INTO card_new (id, code) SELECT id, code FROM card;
DROP TABLE card;
ALTER TABLE card_new RENAME TO card;
CREATE UNIQUE INDEX card_by_code ON card (code);
