"""Two reads of the API and its most frequent write, as Django REST Framework's manual shows."""
