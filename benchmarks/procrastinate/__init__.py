"""Procrastinate as its guide has it: the queue is PostgreSQL, the workers are asynchronous."""
