CREATE INDEX sample_by_time ON sample (sensor_id, taken_at);
