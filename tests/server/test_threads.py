"""The threads in which Django's code runs."""

from __future__ import annotations

import asyncio

import pytest

from server.threads import Threads


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
def test_any_error_of_a_step_reaches_the_request_and_the_thread_works_on(
    error: type[BaseException],
) -> None:
    def fail() -> None:
        raise error

    async def run() -> str:
        threads = Threads(1)
        with pytest.raises((error, RuntimeError)):
            await asyncio.wait_for(threads.run(fail), 2)
        return await asyncio.wait_for(threads.run(lambda: "next"), 2)

    assert asyncio.run(run()) == "next"
