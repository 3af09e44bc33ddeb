"""The scenarios; each function measures a running system, and returns the figures of a round."""
