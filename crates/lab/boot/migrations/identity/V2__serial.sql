ALTER TABLE sensor ADD COLUMN serial TEXT;
UPDATE sensor SET serial = printf('%08x', id);
