"""What slows down guessing: budgets in PostgreSQL, by account, by address, and by known place."""

from accounts.guard.budgets import TooManyTries
from accounts.guard.tries import Caller, Try, begin_login, begin_registration

__all__ = ["Caller", "TooManyTries", "Try", "begin_login", "begin_registration"]
