INSERT INTO site (name)
SELECT DISTINCT label FROM sensor WHERE label <> '' AND label NOT IN (SELECT name FROM site);
INSERT OR IGNORE INTO site (name) VALUES ('attic');
