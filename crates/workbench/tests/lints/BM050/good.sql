CREATE INDEX site_by_length ON site (length(name));
CREATE INDEX sensor_by_value ON sensor (value, site_id);
