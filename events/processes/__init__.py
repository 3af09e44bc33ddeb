"""The long-running processes: their rows in the database, health checks and watchdogs."""
