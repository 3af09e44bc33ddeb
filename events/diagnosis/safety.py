"""Settings that are unsafe where others can reach the system."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import Tags, run_checks

from events.diagnosis.finding import Finding

WEAK_KEY = "security.W009"
LOCAL = ("", "localhost", "127.0.0.1", "::1")


def findings() -> Iterator[Finding]:
    """Find settings that are unsafe; those of the local stack are right for one machine."""
    found = list(_unsafe())
    yield from found
    if not found:
        local = settings.INSECURE_HTTP
        yield Finding(
            "settings", True, "plain HTTP: right for one machine only" if local else "safe"
        )


def _unsafe() -> Iterator[Finding]:
    if settings.DEBUG:
        advice = "Unset DEBUG: its pages show settings and data to anybody."
        yield Finding("setting DEBUG", False, "it is on", advice)
    deployment = run_checks(tags=[Tags.security], include_deployment_checks=True)
    if any(message.id == WEAK_KEY for message in deployment):
        advice = (
            "Set another: `python -c 'import secrets; print(secrets.token_urlsafe(64))'`. Whoever"
            " guesses it is logged in as anybody."
        )
        yield Finding("setting SECRET_KEY", False, "it can be guessed", advice)
    if "*" in settings.ALLOWED_HOSTS:
        advice = "Name the hosts: links in mails go wherever a request says."
        yield Finding("setting ALLOWED_HOSTS", False, "it allows every host", advice)
    if settings.INSECURE_HTTP and not _on_one_machine():
        text = "plain HTTP, with a database on another machine"
        open_metrics = "" if settings.METRICS_TOKEN else " Without METRICS_TOKEN, /metrics is open."
        advice = f"Unset INSECURE_HTTP: passwords and tokens can be read on the way.{open_metrics}"
        yield Finding("setting INSECURE_HTTP", False, text, advice)


def _on_one_machine() -> bool:
    host = settings.DATABASES["default"].get("HOST", "")
    return settings.EMBEDDED or host in LOCAL or host.startswith("/")
