-- bootmigrate: no-transaction
PRAGMA page_size = 8192;
VACUUM;
