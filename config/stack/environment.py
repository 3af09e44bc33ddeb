"""The environment of the stack's processes: addresses, ports, secrets."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from config.embedded import Servers
from config.local_secret import local_secret
from config.ports import LOOPBACK
from config.stack.programs import BASE_DIR, fly

# A warning for production; here the user may well be root.
QUIET = "ignore:You're running the worker:UserWarning"
# There is no proxy, and everybody comes from this machine.
ONE_ADDRESS = {"TRUSTED_PROXIES": "0", "REGISTRATIONS_PER_HOUR": "150"}


def data_directory() -> Path:
    """Return where the stack keeps everything: the same place that the settings use."""
    return Path(os.environ.get("DATA_DIR") or BASE_DIR / ".data").absolute()


def stack_environment(servers: Servers, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the environment of every process of the stack."""
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
        # All processes are on this machine, and one port would be that of the first.
        "HEALTH_PORT": "0",
        "FLOWER_ADDRESS": LOOPBACK,
        "FLOWER_PORT": str(ports["FLOWER_PORT"]),
        "FLOWER_DB": str(data / "flower"),
        "FLOWER_URL": f"http://{LOOPBACK}:{ports['FLOWER_PORT']}/{flower_prefix}".rstrip("/") + "/",
        "EXPORTER_ADDRESS": LOOPBACK,
        "EXPORTER_PORT": str(ports["EXPORTER_PORT"]),
        # So that `python` and `celery` of fly.toml are those of our environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # Whatever locale the terminal has: other people's programs read files and write lines too.
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": QUIET,
    }
    given = {name: value for name, value in os.environ.items() if value}
    return {**defaults, **given, **fixed}
