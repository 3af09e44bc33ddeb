"""The ports of the local stack, by the environment variable that changes each.

Run as a script, this module checks them; `make` does so before it installs anything.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
PORTS = {"PORT": 8000, "FLOWER_PORT": 5555, "EXPORTER_PORT": 9108}


class PortTaken(RuntimeError):
    """A port can't be used; the message names the environment variable to set."""


def free_ports(defaults: Mapping[str, int], *, any_free: bool = False) -> dict[str, int]:
    """Return a free port for each variable: its value in the environment, or else its default.

    With `any_free`, the system chooses a port in place of the default. Raise PortTaken if a port
    is in use, is no port number, or is named twice.
    """
    ports = {}
    for variable, default in defaults.items():
        given = os.environ.get(variable, "")
        wanted = _number(variable, given) if given else 0 if any_free else default
        ports[variable] = _bindable(variable, wanted)
    if len(set(ports.values())) < len(ports):
        raise PortTaken(f"{' and '.join(ports)} name the same port: set one of them to another.")
    return ports


def _number(variable: str, text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise PortTaken(f"{variable}={text} is no port: set {variable} to a number up to 65535.")


def _bindable(variable: str, port: int) -> int:
    """Return the port, or the one chosen by the system for 0; raise PortTaken if it is in use."""
    with socket.socket() as probe:
        # The servers set this too. Without it, a connection that closed a moment ago (TIME_WAIT)
        # would make the port look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError as error:
            refusal = f"Port {port} cannot be used ({error.strerror}): set {variable} to another."
            raise PortTaken(refusal) from error
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    try:
        free_ports(PORTS)
    except PortTaken as refused:
        sys.exit(str(refused))
