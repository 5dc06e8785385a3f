UPDATE sensor SET value = value * 10;
