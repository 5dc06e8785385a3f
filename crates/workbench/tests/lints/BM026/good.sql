INSERT INTO site (name) VALUES ('attic');
