"""Procrastinate, used as its guide says: PostgreSQL is the queue, and workers are asynchronous."""
