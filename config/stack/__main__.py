"""`python -m config.stack`: start the stack (`up`, `demo`), or operate a running one.

`status`, `scale` and `restart` are for a stack that another process runs.
"""

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
usage: python -m config.stack up                                run the stack until Ctrl-C
       python -m config.stack demo                              run the demo on a stack of its own
       python -m config.stack status                            show processes, addresses and logins
       python -m config.stack scale GROUP=COUNT …               set the processes of each group
       python -m config.stack restart GROUP [NAME=value …]      restart a group with these variables
"""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 2 for a usage error, 1 for a failed command."""
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
