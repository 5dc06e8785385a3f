CREATE TEMP TABLE old_label (id INTEGER PRIMARY KEY, label TEXT);
INSERT INTO old_label (id, label) SELECT id, label FROM sensor;
UPDATE sensor SET label = (SELECT upper(label) FROM old_label WHERE old_label.id = sensor.id) WHERE label <> '';
DROP TABLE old_label;
