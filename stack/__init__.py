"""The stack: every process of Commonplace on one machine, supervised and restarted.

Its processes are the process groups of fly.toml, plus embedded PostgreSQL and Valkey servers where
no external ones are configured.
"""
