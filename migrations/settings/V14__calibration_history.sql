-- bootmigrate: compatible-from = 10
-- bootmigrate: expect = SELECT id FROM calibration_point WHERE calibrated_by IS NULL
-- Which visit a point is from; the earlier ones are from the first.
ALTER TABLE calibration_point ADD COLUMN calibrated_by TEXT NOT NULL DEFAULT 'first visit';
CREATE INDEX calibration_point_by_visit ON calibration_point (sensor_id, calibrated_by);
