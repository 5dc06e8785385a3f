CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    name TEXT,
    größe REAL
);
