-- A value goes when a newer one of the same sensor is 30 days ahead of it. The index finds it, so no insert is slow.
CREATE TRIGGER sample_retention AFTER INSERT ON sample
BEGIN
    DELETE FROM sample WHERE sensor_id = new.sensor_id AND taken_at < new.taken_at - 2592000;
END;
