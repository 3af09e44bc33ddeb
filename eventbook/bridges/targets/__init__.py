"""Where a bridge's events go, a kind a file; each is a `Target` (base.py)."""
