"""`python -m config.stack up|demo`."""

import sys

from config.stack.commands import demo, up

COMMANDS = {"up": up, "demo": demo}


def main(arguments: list[str]) -> int:
    """This runs one of the two commands, and answers its exit code."""
    if len(arguments) == 1 and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]]()
    sys.stderr.write("usage: python -m config.stack up|demo\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
