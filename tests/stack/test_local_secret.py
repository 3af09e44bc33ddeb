"""The local stack's secrets."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from stack.local_secret import local_secret


def test_processes_that_start_at_once_get_the_same_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as processes:
        for number in range(100):
            data = tmp_path / str(number)
            secrets = processes.starmap(local_secret, [(data, "secret_key")] * 4, chunksize=1)

            assert len(set(secrets)) == 1
            assert len(secrets[0]) > 60
            assert [path.name for path in data.iterdir()] == ["secret_key"]
            assert (data / "secret_key").stat().st_mode & 0o777 == 0o600
