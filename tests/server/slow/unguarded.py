"""Settings of a web process without what a limit can't switch off: UNGUARDED names it."""

import os

from uvicorn.protocols.http.flow_control import FlowControl

from tests.settings import *  # noqa: F403


async def never_wait(self: FlowControl) -> None:
    """Send on, whether or not the client reads."""


if "backpressure" in os.environ["UNGUARDED"]:
    FlowControl.drain = never_wait  # type: ignore[method-assign]
