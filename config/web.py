"""Settings of the web process and the middleware; imported by `config/settings.py`."""

from __future__ import annotations

import environ

from server import limits

env = environ.Env()

# Limits on a web process's resources, for one client or for all together.
WEB = limits.read(env)
# The path under which a proxy serves the site, for example /library; empty for the root.
_path = env("URL_PREFIX", default="").strip("/")
URL_PREFIX = f"/{_path}" if _path else ""
FORCE_SCRIPT_NAME = URL_PREFIX or None
# Origins of other sites whose scripts may use the API, for example https://example.org; `*`: all.
CORS_ORIGINS = env.list("CORS_ORIGINS", default=[])

MIDDLEWARE = [
    "server.requests.RequestMiddleware",
    "server.middleware.headers.HeadersMiddleware",
    "server.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "server.middleware.cors.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "server.middleware.compression.CompressionMiddleware",
    "server.middleware.outage.OutageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "server.middleware.slashes.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "api.idempotency.IdempotencyMiddleware",
]
