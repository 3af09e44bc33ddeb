"""Private names of Celery, kombu, billiard and redis stand in one folder, and public names are listed."""
