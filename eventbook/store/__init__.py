from eventbook.store import history

__all__ = ["history"]
