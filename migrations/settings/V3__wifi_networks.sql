CREATE TABLE wifi_network (
    id INTEGER PRIMARY KEY,
    ssid TEXT NOT NULL UNIQUE,
    passphrase TEXT,
    hidden INTEGER NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1))
);
