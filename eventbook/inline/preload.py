"""Imported once by the server process that children are forked from: sets up Django for them."""

import django

django.setup()
