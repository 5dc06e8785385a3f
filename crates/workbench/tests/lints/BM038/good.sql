CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    note TEXT
);
