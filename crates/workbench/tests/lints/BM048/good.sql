UPDATE sensor SET label = NULL, value = 0 WHERE label IS NULL OR label = '';
