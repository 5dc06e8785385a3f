UPDATE sensor SET label = 'none' WHERE label = NULL;
DELETE FROM sensor WHERE label <> NULL;
