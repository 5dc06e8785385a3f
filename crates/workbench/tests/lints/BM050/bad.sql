CREATE INDEX site_by_name ON site (name);
