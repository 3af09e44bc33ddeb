"""`python -m config.stack`: `up` or `demo`; beside a running one `status`, `scale`, `restart`."""

import os
import sys

from config.stack.commands import demo, up
from config.stack.programs import BASE_DIR
from config.stack.running import NoStack, restart, scale, status
from config.stack.scale import ScaleRefused
from config.stack.stack import StackFailed
from config.stack.supervision import SupervisorGone
from config.terminal import allow_any_text

STARTING = {"up": up, "demo": demo}
BESIDE = {"status": status, "scale": scale, "restart": restart}
USAGE = """\
usage: python -m config.stack up                                the stack, until Ctrl-C
       python -m config.stack demo                              the stack for one demo
       python -m config.stack status                            what runs, where, and its logins
       python -m config.stack scale GROUP=COUNT …               so many processes of each
       python -m config.stack restart GROUP [NAME=value …]      anew, with these variables
"""


def main(arguments: list[str]) -> int:
    """Run one of the commands, and return its exit code."""
    allow_any_text()
    command, *rest = arguments or [""]
    if command in STARTING and not rest:
        return STARTING[command]()
    if command in BESIDE:
        return _beside(command, rest)
    sys.stderr.write(USAGE)
    return 2


def _beside(command: str, arguments: list[str]) -> int:
    os.chdir(BASE_DIR)
    try:
        return BESIDE[command](arguments)
    except (NoStack, ScaleRefused, StackFailed, SupervisorGone) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
