"""What a running stack serves, and how to talk to it."""

import sys
from pathlib import Path

from rich.text import Text

from config.stack.stack import Stack


def address_lines(stack: Stack) -> Text:
    """This is what to print when the stack is up: lines, so that nothing is cut off or folded."""
    text = Text("\nCommonplace is up. Ctrl-C stops it.\n\n", style="bold")
    for name, value in _addresses(stack).items():
        text.append(f"  {name:16}", style="cyan not bold")
        text.append(f"{value}\n", style="not bold")
    return text


def _addresses(stack: Stack) -> dict[str, str]:
    web = stack.url("PORT")
    control = f"{_short(Path(sys.executable).parent / 'supervisorctl')} -c {_short(stack.conf)}"
    flower_user, _, flower_password = stack.environment["FLOWER_BASIC_AUTH"].partition(":")
    return {
        "web": f"{web}/",
        "API docs": f"{web}/api/docs/",
        "admin": f"{web}/admin/",
        "  login": f"admin  {stack.admin_password()}",
        "Flower": stack.environment["FLOWER_URL"],
        "  login ": f"{flower_user}  {flower_password}",
        "metrics": f"{stack.url('EXPORTER_PORT')}/metrics",
        "processes": f"{control} status",
        "stop one": f"{control} stop valkey",
        "start it again": f"{control} start valkey",
        "logs": _short(stack.servers.log),
        "DATABASE_URL": stack.environment["DATABASE_URL"],
        "REDIS_URL": stack.environment["REDIS_URL"],
    }


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
