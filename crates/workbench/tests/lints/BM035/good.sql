INSERT INTO kept (number)
SELECT rowid FROM sensor WHERE label <> '';
DELETE FROM log WHERE rowid IN (SELECT rowid FROM log ORDER BY text LIMIT 10);
