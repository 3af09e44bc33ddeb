"""Django's PostgreSQL backend, plus a time limit for every wait for the server."""
