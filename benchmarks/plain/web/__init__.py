"""The API's two reads and its most frequent write, as Django REST Framework's manual has them."""
