"""Redis with TLS and an ACL user, behind sentinels, and as a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis

from eventbook.brokers.lanes import UnknownBroker, broker_settings
from stack import debian
from stack.binaries import ProgramMissing
from tests.eventbook.findings import doctor
from tests.harness.processes import wait_for
from tests.harness.redises import RedisServer, running
from tests.harness.watched import System
from tests.probe.models import Effect
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)
ACL = "user commonplace on >secret ~* &* +@all -@dangerous +info"
# How soon a sentinel takes a silent server for down, in milliseconds.
DOWN_AFTER = 500
SENTINEL = """\
sentinel monitor library 127.0.0.1 {port} 1
sentinel down-after-milliseconds library {down_after}
sentinel failover-timeout library 5000
"""


@pytest.fixture
def system(tmp_path: Path, transactional_db: None) -> Iterator[System]:
    running = System(tmp_path)
    yield running
    running.stop()


def start(system: System, **variables: str) -> None:
    system.start("relay", "manage.py", "relay", **variables)
    system.start("worker", "manage.py", "worker", "notifications", "feeds", **variables)


def done(count: int, *, seconds: float = 60) -> None:
    wait_for(
        lambda: states("probe.write") == Counter(done=count),
        seconds=seconds, what=f"{count} deliveries are done",
    )  # fmt: skip
    assert Effect.objects.filter(handler="probe.write").count() == count


def test_tls_with_a_user_of_few_rights(system: System, tmp_path: Path, certificate: Path) -> None:
    try:
        program = debian.program("redis-server", "redis-server")
    except ProgramMissing as error:
        pytest.skip(f"NOT TESTED: Redis with TLS. {error}")
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default off\n{ACL}\n")
    options = [
        "--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no", "--aclfile", str(acl),
        "--tls-cert-file", str(certificate), "--tls-key-file", str(certificate.with_suffix(".key")),
    ]  # fmt: skip
    with running(tmp_path, *options, program=program) as server:
        url = f"rediss://commonplace:secret@localhost:{server.port}/0"

        assert "certificate verify failed" in doctor(BROKER_URL=url)["broker"]["text"].lower()

        trusted = f"{url}?ssl_ca_certs={certificate}"
        start(system, BROKER_URL=trusted)
        send(*map(str, range(50)))
        done(50)
        assert doctor(BROKER_URL=trusted)["broker"]["well"]
        for process in system.processes.values():
            process.stop()


def test_a_failover_by_sentinels_loses_and_doubles_nothing(system: System, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path))
        second = stack.enter_context(
            running(tmp_path, "--port", "PORT", "--replicaof", f"127.0.0.1 {first.port}")
        )
        wait_for(lambda: is_replica_ready(second), seconds=20, what="the replica is ready")
        file = tmp_path / "sentinel.conf"
        file.write_text(SENTINEL.format(port=first.port, down_after=DOWN_AFTER))
        sentinel = stack.enter_context(running(tmp_path, str(file), "--sentinel", "--port", "PORT"))
        places = {
            "BROKER_URL": f"sentinel://127.0.0.1:{sentinel.port}",
            "BROKER_MASTER": "library",
        }
        start(system, **places)
        send("before")
        done(1)

        for number in range(20):
            send(*(f"{number}-{n}" for n in range(10)))
            if number == 5:
                first.kill()

        done(201, seconds=90)
        assert is_master(second)
        assert doctor(**places)["broker"]["well"]
        for process in system.processes.values():
            process.stop()


def is_replica_ready(server: RedisServer) -> bool:
    with closing(redis.Redis(port=server.port)) as client:
        return client.info("replication").get("master_link_status") == "up"


def is_master(server: RedisServer) -> bool:
    with closing(redis.Redis(port=server.port)) as client:
        return bool(client.info("replication")["role"] == "master")


def test_sentinels_without_the_name_of_their_server_are_refused() -> None:
    with pytest.raises(UnknownBroker, match="BROKER_MASTER"):
        broker_settings("sentinel://127.0.0.1:26379", [])


def test_a_cluster_is_refused_with_the_reason(tmp_path: Path, transactional_db: None) -> None:
    options = ["--port", "PORT", "--cluster-enabled", "yes", "--cluster-port", "0"]
    with running(tmp_path, *options) as server:
        found = doctor(BROKER_URL=f"redis://127.0.0.1:{server.port}/0")

    assert not found["broker"]["well"]
    assert "Redis Cluster" in found["broker"]["text"]
