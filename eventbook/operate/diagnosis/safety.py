"""Checks for settings that are unsafe once other people can reach the system."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import Tags, run_checks

from eventbook.conf import conf
from eventbook.operate.diagnosis.finding import Finding

WEAK_KEY = "security.W009"
LOCAL = ("", "localhost", "127.0.0.1", "::1")


def findings() -> Iterator[Finding]:
    """Yield a finding for each unsafe setting, or one that says that all are safe.

    Plain HTTP is accepted while the database is on the same machine, as in the local stack.
    """
    found = list(_unsafe())
    yield from found
    if not found:
        local = conf.INSECURE_HTTP
        yield Finding.ok("settings", "plain HTTP: safe on one machine only" if local else "safe")


def _unsafe() -> Iterator[Finding]:
    if settings.DEBUG:
        advice = "Unset DEBUG: its error pages show settings and data to everybody."
        yield Finding.bad("setting DEBUG", "it is on", advice)
    deployment = run_checks(tags=[Tags.security], include_deployment_checks=True)
    if any(message.id == WEAK_KEY for message in deployment):
        advice = (
            "Set a new one: `python -c 'import secrets; print(secrets.token_urlsafe(64))'`. An"
            " attacker who guesses the key can log in as any user."
        )
        yield Finding.bad("setting SECRET_KEY", "it can be guessed", advice)
    if "*" in settings.ALLOWED_HOSTS:
        advice = "List the hosts: links in mails lead to whatever host a request names."
        yield Finding.bad("setting ALLOWED_HOSTS", "it allows every host", advice)
    if conf.INSECURE_HTTP and not _on_one_machine():
        text = "plain HTTP, and the database is on another machine"
        open_metrics = "" if conf.METRICS_TOKEN else " Without METRICS_TOKEN, /metrics is open."
        advice = f"Unset INSECURE_HTTP: passwords and tokens cross networks in clear.{open_metrics}"
        yield Finding.bad("setting INSECURE_HTTP", text, advice)


def _on_one_machine() -> bool:
    host = settings.DATABASES["default"].get("HOST", "")
    return conf.EMBEDDED or host in LOCAL or host.startswith("/")
