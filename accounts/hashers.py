from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class LeanArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, one lane.

    With Django's 100 MiB and eight lanes, a few simultaneous logins would fill a small machine
    (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
    """

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1
