"""Celery as it is used without an event system: a task an event and queue, on Django's models."""
