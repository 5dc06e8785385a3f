-- The list of a site's sensors read the whole table.
CREATE INDEX sensor_by_site ON sensor (site_id);
