"""Every name in the rules and the dashboard is exported, with its labels; every export is used."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbook import Bridge
from eventbook.models import Process
from eventbook.operate.audit import audit
from tests.deploy.prometheus import grouped_by, promtool, rules, selected
from tests.harness.processes import ROOT
from tests.harness.scraping import scrape

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "commonplace.json"
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"
RECORDED = {
    "handler:deliveries:rate10m": {"handler", "queue", "outcome"},
    **{
        f"queue:{what}:rate{window}": {"queue"}
        for what in ("deliveries", "deliveries_bad")
        for window in ("5m", "30m", "1h", "6h")
    },
}


def panels() -> list[dict[str, Any]]:
    """These are the panels that show something."""
    everything = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in everything if panel["type"] != "row"]


def dashboard_expressions() -> list[str]:
    """These are the dashboard's expressions, with a value for each of Grafana's variables."""
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [
        text.replace("$queue", "feeds").replace("$__rate_interval", "1m") for text in expressions
    ]


@pytest.fixture
def exported(transactional_db: None, settings: Any) -> dict[str, set[str]]:
    """Return the labels of each metric in /metrics, where there is a bridge."""
    settings.BRIDGES = (Bridge(name="nats", url="nats://nats.example"),)
    Process.objects.create(group="relay", host="here", pid=1, release="1", memory_limit_bytes=2**29)
    audit()
    found: dict[str, set[str]] = defaultdict(set)
    for name, labels in scrape():
        found[name] |= {label for label, _ in labels}
    return found


def expressions() -> list[str]:
    """These are all expressions of the rules and the dashboard."""
    return [*(rule["expr"] for rule in rules()), *dashboard_expressions()]


def test_every_name_and_label_that_is_used_is_exported(exported: dict[str, set[str]]) -> None:
    known = exported | RECORDED
    assert {rule["record"] for rule in rules() if "record" in rule} == set(RECORDED)

    for expression in expressions():
        used = dict(selected(expression))
        assert used, expression
        assert set(used) <= set(known), expression
        for name, labels in used.items():
            assert labels <= known[name], expression
        assert grouped_by(expression) <= set().union(*(known[name] for name in used)), expression


def test_every_name_that_is_exported_is_used_somewhere(exported: dict[str, set[str]]) -> None:
    used = {name for expression in expressions() for name, _ in selected(expression)}

    def family(name: str) -> str:
        return re.sub(r"_(bucket|count|sum)$", "", name)

    assert set(map(family, exported)) == set(map(family, used)) - set(RECORDED)


def test_every_name_that_is_exported_is_explained(exported: dict[str, set[str]]) -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()

    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported}
    assert [name for name in families if f"`{name}`" not in text] == []


def test_prometheus_can_parse_what_the_dashboard_asks(tmp_path: Path) -> None:
    asked = [
        {"record": f"asked{number}", "expr": expression}
        for number, expression in enumerate(dashboard_expressions())
    ]
    (tmp_path / "asked.yml").write_text(yaml.dump({"groups": [{"name": "asked", "rules": asked}]}))

    done = promtool("check", "rules", tmp_path / "asked.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(ids) == len(set(ids)) > 20


def test_grafana_finds_the_dashboard_and_prometheus() -> None:
    (source,) = read(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    (provider,) = read(PROVISIONING / "dashboards" / "commonplace.yml")["providers"]

    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert provider["options"]["path"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())
