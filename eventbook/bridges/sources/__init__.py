"""Where a bridge's events come in from, a kind a file; each is a `Source` (base.py)."""
