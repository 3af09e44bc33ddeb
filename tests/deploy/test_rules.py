"""Prometheus' rules: what they are made of, and that each alert fires and does not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from eventbook.operate.metrics.alerts import ALERTS
from eventbook.operate.metrics.rules import rules_file
from tests.deploy.prometheus import PROMETHEUS, RULES, promtool, rules
from tests.harness.processes import ROOT
from tests.harness.tools import ToolMissing, tool

TESTS = PROMETHEUS / "rules_test.yml"


def test_the_rules_are_those_of_the_queue_table() -> None:
    made = rules_file()

    assert RULES.read_text() == made, "run: manage.py alert_rules > deploy/prometheus/rules.yml"


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("alert_rules")

    assert yaml.safe_load(capsys.readouterr().out)["groups"][1]["name"] == "commonplace-alerts"


def test_each_alert_fires_and_does_not() -> None:
    done = promtool("test", "rules", TESTS)

    assert done.returncode == 0, done.stdout + done.stderr
    for alert in ALERTS:
        assert outcomes(alert.name) == {True, False}, f"{TESTS} lacks a case of {alert.name}"


def outcomes(alert: str) -> set[bool]:
    """These are the outcomes of an alert that rules_test.yml has: whether it fires."""
    checks = [
        check
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for check in test.get("promql_expr_test", [])
    ]
    return {bool(c["exp_samples"]) for c in checks if f'alertname="{alert}"' in c["expr"]}


def test_a_rule_that_never_fires_fails_the_tests(tmp_path: Path) -> None:
    shutil.copy(TESTS, tmp_path)
    blunt = RULES.read_text().replace("max(relay_lag_seconds) > 10", "max(relay_lag_seconds) > 1e9")
    (tmp_path / "rules.yml").write_text(blunt)

    done = promtool("test", "rules", tmp_path / TESTS.name)

    assert done.returncode != 0
    assert "RelayLagging" in done.stdout + done.stderr


def test_prometheus_takes_its_configuration() -> None:
    done = promtool("check", "config", PROMETHEUS / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout


def test_every_alert_has_a_severity_and_a_place_in_the_documentation() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    headings = re.findall(r"^#+ (Alert \w+)$", text, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    alerts = [rule for rule in rules() if "alert" in rule]

    assert {rule["labels"]["severity"] for rule in alerts} == {"page", "ticket"}
    places = {rule["annotations"]["runbook"].removeprefix("docs/alerts.md#") for rule in alerts}
    assert places == anchors
    assert all(re.fullmatch(r"([A-Z]+[a-z]*)+", rule["alert"]) for rule in alerts)


def test_a_tool_that_cannot_be_had_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissing, match=r"nosuchtool is needed.*in the package nosuchpackage"):
        tool("nosuchtool", package="nosuchpackage", tools=tmp_path)
