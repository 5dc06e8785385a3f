UPDATE sensor SET label = 'old' WHERE id IN (SELECT id FROM sensor WHERE value < 0 ORDER BY id LIMIT 10);
