INSERT INTO site VALUES (100, 'attic');
