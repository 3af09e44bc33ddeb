from eventbook.store import aggregates, history

__all__ = ["aggregates", "history"]
