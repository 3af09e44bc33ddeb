"""The addresses and logins of a running stack, as `up` and `status` print them."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.text import Text

from stack.embedded import Servers
from stack.environment import stack_environment
from stack.local_secret import local_secret
from stack.programs import process_groups

FILE = "addresses.json"
# If one of these is set in the environment of `make up`, no file has its value, and none should:
# `status` then prints HIDDEN_LOGIN in its place.
SECRETS = ("ADMIN_PASSWORD", "FLOWER_BASIC_AUTH")
HIDDEN_LOGIN = "as set in {} when the stack was started"


def write_addresses(data: Path, ports: Mapping[str, int]) -> None:
    """Write the file from which `status`, in another process, learns the stack's addresses."""
    hidden = [name for name in SECRETS if os.environ.get(name)]
    addresses = {"ports": dict(ports), "hidden": hidden}
    (data / FILE).write_text(json.dumps(addresses), encoding="utf-8")


def address_lines(servers: Servers) -> Text:
    """Return one line for each address and login of a stack; a table would cut long ones off."""
    stored = json.loads((servers.data / FILE).read_text(encoding="utf-8"))
    text = Text()
    for name, value in _addresses(servers, stored["ports"], stored["hidden"]):
        text.append(f"  {name:16}", style="cyan not bold")
        text.append(f"{value}\n", style="not bold")
    return text


def admin_password(data: Path) -> str:
    """Return the password of the stack's superuser `admin`, created on first use."""
    return os.environ.get("ADMIN_PASSWORD") or local_secret(data, "admin_password", length=12)


def _addresses(
    servers: Servers, ports: Mapping[str, int], hidden: list[str]
) -> list[tuple[str, str]]:
    """Return the label and the text of each address and login."""
    environment = stack_environment(servers, ports)
    web = f"http://127.0.0.1:{ports['PORT']}"
    conf = _short(servers.data / "supervisord.conf")
    control = f"{_short(Path(sys.executable).parent / 'supervisorctl')} -c {conf}"
    logins = {
        "ADMIN_PASSWORD": f"admin  {admin_password(servers.data)}",
        "FLOWER_BASIC_AUTH": environment["FLOWER_BASIC_AUTH"].replace(":", "  ", 1),
    }
    for name in hidden:
        if not os.environ.get(name):
            logins[name] = HIDDEN_LOGIN.format(name)
    flower = [
        ("Flower", environment["FLOWER_URL"]),
        ("  login", logins["FLOWER_BASIC_AUTH"]),
    ]
    return [
        ("web", f"{web}/"),
        ("API docs", f"{web}/api/docs/"),
        ("admin", f"{web}/admin/"),
        ("  login", logins["ADMIN_PASSWORD"]),
        *(flower if "flower" in process_groups() else ()),
        ("metrics", f"http://127.0.0.1:{ports['EXPORTER_PORT']}/metrics"),
        ("processes", f"{control} status"),
        ("stop one", f"{control} stop valkey"),
        ("start it again", f"{control} start valkey"),
        ("logs", _short(servers.log)),
        ("DATABASE_URL", environment["DATABASE_URL"]),
        ("BROKER_URL", environment.get("BROKER_URL") or environment["REDIS_URL"]),
    ]


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
