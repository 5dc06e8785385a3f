UPDATE sensor SET label = lower(label) WHERE label <> '';
