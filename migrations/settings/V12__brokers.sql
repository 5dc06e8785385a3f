-- bootmigrate: compatible-from = 10
-- Where telemetry goes; it was a constant in the firmware.
CREATE TABLE broker (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    port INTEGER NOT NULL DEFAULT 8883 CHECK (port BETWEEN 1 AND 65535),
    client_certificate BLOB,
    UNIQUE (host, port)
);
