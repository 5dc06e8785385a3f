INSERT INTO sensor VALUES (1, 'factory', 1);
