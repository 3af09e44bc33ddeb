"""The whole stack on one machine: every process group of fly.toml, supervised and restarted."""
