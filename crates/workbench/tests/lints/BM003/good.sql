-- bootmigrate: allow = BM024 because the table has ten rows
UPDATE sensor SET value = 0;
