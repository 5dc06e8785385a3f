UPDATE sensor SET label = 'old' WHERE id IN (SELECT id FROM sensor WHERE value < 0 ORDER BY id LIMIT 10);
UPDATE sensor SET label = (SELECT name FROM site WHERE site.id = sensor.site_id LIMIT 1) WHERE label IS NULL;
