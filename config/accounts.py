"""Settings of users, passwords and tokens; imported by `config/settings.py`."""

from __future__ import annotations

from datetime import timedelta

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

TOKEN_TTL_DAYS = env.int("TOKEN_TTL_DAYS", default=30)
# The number of trusted proxies in front: this many entries at the end of X-Forwarded-For are
# theirs. With 0, the header is ignored.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
# Registrations from one address: this many at once, and as many again in each hour.
REGISTRATIONS_PER_HOUR = env.int("REGISTRATIONS_PER_HOUR", default=60)
if TRUSTED_PROXIES < 0 or REGISTRATIONS_PER_HOUR < 1:
    # A negative number of proxies would select an entry from the left, which clients can forge.
    raise ImproperlyConfigured(
        "TRUSTED_PROXIES must be 0 or more, REGISTRATIONS_PER_HOUR 1 or more."
    )
# Contacts for reports of vulnerabilities: mail addresses or URIs. Without one, there is no
# security.txt.
SECURITY_CONTACT = env.list("SECURITY_CONTACT", default=[])

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.GuardedBackend"]
PASSWORD_HASHERS = [
    "accounts.passwords.LeanArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {
            "user_attributes": ("username", "display_name", "first_name", "last_name", "email")
        },
    },
    {"NAME": "accounts.passwords.BesidesNamesValidator"},
    {"NAME": "accounts.passwords.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=TOKEN_TTL_DAYS),
    "AUTH_HEADER_PREFIX": "Token",
}
