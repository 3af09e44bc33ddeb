"""The environment of the stack's processes: addresses, ports, secrets."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.embedded import Servers
from stack.local_secret import local_secret
from stack.ports import LOOPBACK
from stack.programs import BASE_DIR, fly

# Celery warns against running as root. That is meant for production; a developer may be root.
QUIET = "ignore:You're running the worker:UserWarning"
# The stack has no proxy in front, and all of its users share one address.
ONE_ADDRESS = {"TRUSTED_PROXIES": "0", "REGISTRATIONS_PER_HOUR": "150"}


def data_directory() -> Path:
    """Return the directory of all of the stack's files: DATA_DIR, by default `.data`."""
    return Path(os.environ.get("DATA_DIR") or BASE_DIR / ".data").absolute()


def stack_environment(servers: Servers, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the environment of the stack's processes; the caller's own overrides `defaults`."""
    data = servers.data
    flower_login = f"admin:{local_secret(data, 'flower_password', length=12)}"
    flower_prefix = os.environ.get("FLOWER_URL_PREFIX", "").strip("/")
    defaults = {
        **fly()["env"],
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "SECRET_KEY": os.environ.get("SECRET_KEY") or local_secret(data, "secret_key"),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "CSRF_TRUSTED_ORIGINS": "",
        "FLOWER_BASIC_AUTH": flower_login,
        **ONE_ADDRESS,
    }
    fixed = {
        "DATA_DIR": str(data),
        "INSECURE_HTTP": "1",
        "BASE_URL": f"http://{LOOPBACK}:{ports['PORT']}",
        "PORT": str(ports["PORT"]),
        "WEB_ADDRESS": LOOPBACK,
        "WEB_PORT": str(ports["PORT"]),
        # All processes are on one machine, and only one of them could listen on a common port.
        "HEALTH_PORT": "0",
        "FLOWER_ADDRESS": LOOPBACK,
        "FLOWER_PORT": str(ports["FLOWER_PORT"]),
        "FLOWER_DB": str(data / "flower"),
        "FLOWER_URL": f"http://{LOOPBACK}:{ports['FLOWER_PORT']}/{flower_prefix}".rstrip("/") + "/",
        "EXPORTER_ADDRESS": LOOPBACK,
        "EXPORTER_PORT": str(ports["EXPORTER_PORT"]),
        # So that `python` and `celery` in fly.toml's commands are those of this environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # Third-party programs read files and write output as UTF-8 too, whatever the locale is.
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": QUIET,
    }
    given = {name: value for name, value in os.environ.items() if value}
    return {**defaults, **given, **fixed}
