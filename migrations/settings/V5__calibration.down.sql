DROP TABLE calibration_point;
