DROP INDEX sample_by_time;
