-- bootmigrate: no-transaction
-- bootmigrate: needs-space = 2.0
PRAGMA page_size = 8192; VACUUM; /* x */ INSERT INTO [a b] VALUES ('it''s', "q", x'00');
