"""Plain Celery without an event system: one task per event and queue, using Django's models."""
