"""Prometheus' rules as a file, made from the table of alerts."""

from __future__ import annotations

import json
from textwrap import indent

from events.metrics.alerts import ALERTS, RUNBOOK, Alert, recordings

HEAD = """\
# Made by `manage.py alert_rules` from events/metrics/alerts.py: change that.
groups:
"""


def rules_file() -> str:
    """Return the text of deploy/prometheus/rules.yml."""
    recorded = "".join(
        f"      - record: {name}\n{_expression(expression)}" for name, expression in recordings()
    )
    alerts = "".join(map(_alert, ALERTS))
    return (
        f"{HEAD}  - name: commonplace-rates\n    rules:\n{recorded}"
        f"  - name: commonplace-alerts\n    rules:\n{alerts}"
    )


def _alert(alert: Alert) -> str:
    text = json.dumps
    return (
        f"      - alert: {alert.name}\n"
        f"{_expression(alert.expression)}"
        f"        for: {alert.lasting}\n"
        f"        labels:\n"
        f"          severity: {'page' if alert.page else 'ticket'}\n"
        f"        annotations:\n"
        f"          summary: {text(alert.summary)}\n"
        f"          description: {text(alert.description)}\n"
        f"          runbook: {RUNBOOK}{alert.name.lower()}\n"
    )


def _expression(expression: str) -> str:
    return f"        expr: |-\n{indent(expression, ' ' * 10)}\n"
