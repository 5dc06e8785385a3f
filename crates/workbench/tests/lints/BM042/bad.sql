UPDATE sensor SET label = slug(label) WHERE label <> '';
