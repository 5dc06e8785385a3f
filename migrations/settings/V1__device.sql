-- Who this gateway is: one row, written at the factory.
CREATE TABLE device (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    serial TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    made_on TEXT NOT NULL
);
