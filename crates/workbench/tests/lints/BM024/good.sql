UPDATE sensor SET value = value * 10 WHERE value < 1;
