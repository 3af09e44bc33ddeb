from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.binaries import ProgramMissing
from tests.faults.report import Report
from tests.faults.sizes import FULL
from tests.faults.world import World

REPORT = pytest.StashKey[Report]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on the brokers that its marker names; without a marker, on Valkey."""
    if "_world" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("brokers")
        names = marker.args if marker else ("valkey",)
        ids = [f"broker={name}" for name in names]
        metafunc.parametrize("_world", names, ids=ids, indirect=True, scope="package")


@pytest.fixture(scope="package")
def _world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    try:
        running = World(tmp_path_factory.mktemp("world"), request.param)
    except ProgramMissing as error:
        pytest.skip(f"NOT TESTED: {request.param}. {error}")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def world(_world: World) -> World:
    """Return real servers and processes, all running and empty."""
    _world.reset()
    return _world


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Return the report that is printed at the end of the run."""
    return request.config.stash.setdefault(REPORT, Report())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests marked long in the small form, where a shorter test covers the same kind."""
    long = [] if FULL else [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the report of all faults; in the full form, also write it as JSON."""
    report = terminalreporter.config.stash.get(REPORT, None)
    if report is None or not report.cases:
        return
    terminalreporter.section("faults")
    for line in report.table():
        terminalreporter.write_line(line)
    if FULL:
        report.write()
