INSERT OR IGNORE INTO site (name)
SELECT label FROM sensor WHERE label <> '';
UPDATE OR REPLACE site SET name = trim(name) WHERE name LIKE ' %';
