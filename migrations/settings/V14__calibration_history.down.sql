DROP INDEX calibration_point_by_visit;
ALTER TABLE calibration_point DROP COLUMN calibrated_by;
