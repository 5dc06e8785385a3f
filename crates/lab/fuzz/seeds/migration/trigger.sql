-- bootmigrate: compatible-from = 3
-- bootmigrate: expect = SELECT 1 FROM a WHERE b IS NULL
CREATE TABLE a(b TEXT CHECK (b <> ';'));
CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET b = CASE 1 WHEN 1 THEN 'x' END; END;
