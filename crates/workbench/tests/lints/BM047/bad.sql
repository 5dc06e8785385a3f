UPDATE sensor SET label = 'old' WHERE id IN (SELECT id FROM sensor WHERE value < 0 LIMIT 10);
