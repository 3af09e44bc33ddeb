"""The event system's Prometheus metrics: what processes count, and what PostgreSQL tells.

Both are read from PostgreSQL at a scrape, so that they are the same whichever process answers, and
hold while the broker is down.
"""
