"""The report says what the rounds say, and nothing else stands between a document's markers."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from benchmarks.report import DOCUMENTS, ROOT, show
from benchmarks.report.documents import NAMES, UnknownFigures, filled, names
from benchmarks.report.measures import cpu_by_component, number
from benchmarks.report.plots import PLOTS
from benchmarks.report.tables import as_markdown, tables

# Made up for these tests: no machine measured them.
ROUNDS = {
    "drain": {
        "ours": [
            {
                "rate": 400.0,
                "events": 10,
                "cpu": {"benchmark": 0.01, "relay": 0.02, "postgres": 0.03},
            },
            {
                "rate": 300.0,
                "events": 10,
                "cpu": {"benchmark": 0.01, "relay": 0.02, "postgres": 0.03},
            },
            {
                "rate": 350.0,
                "events": 10,
                "cpu": {"benchmark": 0.01, "relay": 0.02, "postgres": 0.05},
            },
        ],
        "theirs": [{"rate": 4.25, "events": 10, "memory": {"worker": 3 * 1024 * 1024}}],
    },
    "growth": {"ours": [{"events": 10, "rate": 5.0}, {"events": 2000, "rate": 6.0}]},
    "post": {"ours": [{"rate": 1234.5, "p50_ms": 1.0, "p99_ms": 0.0555, "errors": 0}]},
}
GOAL = {
    "name": "faster", "ours": 350.0, "peer": None, "ratio": None, "goal": "≥ 1", "met": True,
    "spread": "3–4",
}  # fmt: skip
RESULTS = {
    "goals": [GOAL],
    "rounds": ROUNDS,
    "machine": {"cores": 2, "memory_gib": 1.26, "packages": {"celery": "5", "bullmq": "4"}},
}


def test_a_cell_has_the_median_and_the_spread_of_the_rounds() -> None:
    table = tables(RESULTS)["drain"]

    assert table.columns == ["system", "events/s", "CPU ms/event", "memory MiB"]
    assert table.rows[0] == ["ours", "350 (300–400)", "6.00 (6.00–8.00)", "–"]


def test_one_round_has_no_spread() -> None:
    table = tables(RESULTS)["drain"]

    assert table.rows[1] == ["theirs", "4.25", "–", "3.00"]


def test_growth_has_a_column_a_size() -> None:
    table = tables(RESULTS)["growth"]

    assert table.columns[1:] == ["10", "2,000"]
    assert table.rows == [["ours", "5.00", "6.00"]]


def test_what_no_round_measured_has_no_table() -> None:
    assert set(tables(RESULTS)) == {"goals", "machine", "drain", "growth", "post"}
    assert tables({}) == {}


def test_processes_that_are_not_named_are_workers() -> None:
    used = {
        "benchmark": 1.0,
        "producer": 1.0,
        "feed-worker": 2.0,
        "plain-feeds": 3.0,
        "broker": 4.0,
    }

    assert cpu_by_component({"events": 1000, "cpu": used}) == {
        "producer": 2.0, "workers": 5.0, "broker": 4.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (99.94, "99.9"), (1.234, "1.23"), (0.0123, "0.012"), (0, "0"),
     (None, "–")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_markdown_has_texts_on_the_left_and_numbers_on_the_right() -> None:
    assert as_markdown(tables(RESULTS)["goals"]).splitlines() == [
        "|  | ours | peer | ratio | goal | met | spread |",
        "| --- | --: | --: | --: | --- | --- | --- |",
        "| faster | 350 | – | – | ≥ 1 | yes | 3–4 |",
    ]


def test_a_block_is_filled_anew_and_the_text_around_it_stays() -> None:
    text = "before\n<!-- figures: post -->\nold\n<!-- end -->\nafter\n"

    once = filled(text, tables(RESULTS))

    assert once.startswith("before\n<!-- figures: post -->\n\n| system |")
    assert once.endswith("| ours | 1,234 | 1.00 | 0.056 | 0 |\n\n<!-- end -->\nafter\n")
    assert filled(once, tables(RESULTS)) == once


def test_a_block_without_measurements_says_so() -> None:
    text = "<!-- figures: mixed -->\n| old | 1 |\n<!-- end -->"

    assert filled(text, tables(RESULTS)) == (
        "<!-- figures: mixed -->\n\n*Not measured in this run.*\n\n<!-- end -->"
    )


def test_a_block_with_a_name_that_nothing_has_is_refused() -> None:
    text = "<!-- figures: drian -->\n<!-- end -->"

    with pytest.raises(UnknownFigures, match="No report has drian"):
        filled(text, tables(RESULTS))


def test_everything_is_printed_and_the_goals_come_last() -> None:
    output = StringIO()
    console = Console(file=output, width=80)

    show(RESULTS, console)

    text = output.getvalue()
    assert text.index("POST cards/") < text.index("The goals") < text.index("faster")


def test_the_document_asks_only_for_what_there_is() -> None:
    found = [name for document in DOCUMENTS for name in names(document.read_text())]

    assert "goals" in found
    assert set(found) <= NAMES
    assert len(found) == len(set(found))


def test_the_document_shows_every_plot() -> None:
    shown = re.findall(r"\]\(performance/(\w+)\.svg\)", DOCUMENTS[0].read_text())

    assert sorted(shown) == sorted(PLOTS)


def test_the_extra_of_the_benchmark_has_the_versions_of_the_local_stack() -> None:
    pinned = {}
    for name in ("local", "bench"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        pinned[name] = {line.split()[0] for line in lines if line[0].isalnum()}

    assert pinned["local"] <= pinned["bench"]
    assert {one.split("==")[0] for one in pinned["bench"]} >= {
        "dramatiq", "matplotlib", "procrastinate",
    }  # fmt: skip
