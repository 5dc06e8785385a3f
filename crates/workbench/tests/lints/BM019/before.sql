CREATE TABLE site (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE sensor (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT,
    value REAL NOT NULL DEFAULT 0
);

CREATE INDEX sensor_by_site ON sensor (site_id);

CREATE TRIGGER sensor_label AFTER INSERT ON sensor WHEN new.label = '' BEGIN
    UPDATE sensor SET label = NULL WHERE id = new.id;
END;

CREATE TABLE card (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE);

CREATE TABLE badge (sensor_id INTEGER NOT NULL, colour TEXT NOT NULL);
CREATE INDEX badge_by_sensor ON badge (sensor_id);

CREATE TABLE photo (sensor_id INTEGER, file TEXT, size INTEGER);
CREATE UNIQUE INDEX photo_by_sensor ON photo (sensor_id);
CREATE INDEX photo_by_size ON photo (size);

CREATE TABLE token (site_id INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (site_id, name COLLATE NOCASE));
