INSERT INTO kept (number)
SELECT rowid FROM log WHERE text <> '';
