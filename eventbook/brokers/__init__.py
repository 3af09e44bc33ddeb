"""Celery, kombu, billiard and redis from inside, and every private name of theirs that we use."""
