-- bootmigrate: no-transaction
-- bootmigrate: allow = BM033 because the page size changes
PRAGMA page_size = 8192;
VACUUM;
