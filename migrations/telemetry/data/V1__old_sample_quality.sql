-- bootmigrate: batch
-- Old values get their quality, 500 a round, while the gateway works.
UPDATE sample
SET quality = CASE WHEN value BETWEEN -1000 AND 1000 THEN 1 ELSE 2 END
WHERE id IN (SELECT id FROM sample WHERE quality = 0 ORDER BY id LIMIT 500);
