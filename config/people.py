"""The settings of people, their passwords and their tokens; read by `config/settings.py`."""

from __future__ import annotations

from datetime import timedelta

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

TOKEN_TTL_DAYS = env.int("TOKEN_TTL_DAYS", default=30)
# How many of the last entries of X-Forwarded-For were written by proxies of ours; 0: it is ignored.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
# Accounts that may be made from one address, at once and again in each hour.
REGISTRATIONS_PER_HOUR = env.int("REGISTRATIONS_PER_HOUR", default=60)
if TRUSTED_PROXIES < 0 or REGISTRATIONS_PER_HOUR < 1:
    # A negative number would count from the left, where clients write what they like.
    raise ImproperlyConfigured("Set TRUSTED_PROXIES to 0 or more, REGISTRATIONS_PER_HOUR to 1.")
# To whom weaknesses can be told: addresses for mail, or URIs; without, there is no security.txt.
SECURITY_CONTACT = env.list("SECURITY_CONTACT", default=[])

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.GuardedBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.LeanArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {
            "user_attributes": ("username", "display_name", "first_name", "last_name", "email")
        },
    },
    {"NAME": "accounts.validators.BesidesNamesValidator"},
    {"NAME": "accounts.validators.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=TOKEN_TTL_DAYS),
    "AUTH_HEADER_PREFIX": "Token",
}
