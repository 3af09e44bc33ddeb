"""The settings of what is served over HTTP; read by `config/settings.py`."""

from __future__ import annotations

import environ

from config.web import limits

env = environ.Env()

# How much of a web process one client, or all of them, may take.
WEB = limits.read(env)
# Where a proxy puts the site, if not at its root: /library.
URL_PREFIX = limits.prefix(env("URL_PREFIX", default=""))
FORCE_SCRIPT_NAME = URL_PREFIX or None
# Sites whose scripts may use the API, as https://example.org; `*` for all.
CORS_ORIGINS = env.list("CORS_ORIGINS", default=[])

MIDDLEWARE = [
    "config.requests.RequestMiddleware",
    "config.middleware.headers.HeadersMiddleware",
    "config.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.cors.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.compression.CompressionMiddleware",
    "config.outage.OutageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.slashes.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.idempotency.IdempotencyMiddleware",
]
