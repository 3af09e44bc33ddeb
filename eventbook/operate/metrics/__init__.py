"""The event system's Prometheus metrics: figures that processes count, and figures of the tables.

A scrape reads both from PostgreSQL. So every process returns the same figures, even while the
broker is down.
"""
