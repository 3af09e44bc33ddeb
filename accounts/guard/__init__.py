"""Rate limits against guessing passwords and mass registration.

A *try* is one guess at a password, or one registration. Each costs a *budget* in PostgreSQL
(budgets.py): that of an account, of an address, or of a *known place*. This is a device or an
address from which the account has logged in before (tries.py).
"""

from accounts.guard.budgets import TooManyTries
from accounts.guard.tries import Caller, Try, begin_login, begin_registration

__all__ = ["Caller", "TooManyTries", "Try", "begin_login", "begin_registration"]
