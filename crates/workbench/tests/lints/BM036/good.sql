CREATE TABLE card (
    id INTEGER PRIMARY KEY,
    pin TEXT NOT NULL,
    place REAL
);
