"""Shared by the admin pages of all apps: the site, the log of reading, lists of large tables."""
