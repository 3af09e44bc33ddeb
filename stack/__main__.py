"""`python -m stack`: start the stack (`up`, `demo`), or operate a running one.

`status`, `scale` and `restart` are for a stack that another process runs.
"""

import os
import sys

from stack.commands import demo, up
from stack.programs import BASE_DIR
from stack.running import NoStack, restart, scale, status
from stack.scale import ScaleRefused
from stack.stack import StackFailed
from stack.supervision import SupervisorGone
from stack.terminal import allow_any_text

START_COMMANDS = {"up": up, "demo": demo}
OPERATE_COMMANDS = {"status": status, "scale": scale, "restart": restart}
USAGE = """\
usage: python -m stack up                                run the stack until Ctrl-C
       python -m stack demo                              run the demo on a stack of its own
       python -m stack status                            show processes, addresses and logins
       python -m stack scale GROUP=COUNT …               set the processes of each group
       python -m stack restart GROUP [NAME=value …]      restart a group with these variables
"""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 2 for a usage error, 1 for a failed command."""
    allow_any_text()
    command, *rest = arguments or [""]
    if command in START_COMMANDS and not rest:
        return START_COMMANDS[command]()
    if command in OPERATE_COMMANDS:
        return _operate(command, rest)
    sys.stderr.write(USAGE)
    return 2


def _operate(command: str, arguments: list[str]) -> int:
    os.chdir(BASE_DIR)
    try:
        return OPERATE_COMMANDS[command](arguments)
    except (NoStack, ScaleRefused, StackFailed, SupervisorGone) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
