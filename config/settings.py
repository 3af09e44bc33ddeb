"""Django's settings; every value that differs between installations is read from the environment.

config/accounts.py, config/web.py and config/queues.py have some of them. docs/operating.md lists
the environment variables.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ

from api import openapi
from config import bridges, logs, queues
from config.accounts import *  # noqa: F403
from config.release import release_name
from config.web import *  # noqa: F403
from config.web import URL_PREFIX
from eventbook.celery import broker_settings
from eventbook.conf import Conf
from eventbook.database import configured

# Without this, generic base classes (`ModelAdmin[Card]`) fail at run time.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- Servers and this installation -------------------------------------------------------------
# Embedded servers replace a missing DATABASE_URL or BROKER_URL (stack/embedded.py).
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / ".data")))
DATABASE_URL = env("DATABASE_URL", default="")
BROKER_URL = env("BROKER_URL", default="") or env("REDIS_URL", default="")
EMBEDDED = not (DATABASE_URL and BROKER_URL)
if EMBEDDED:
    from stack.embedded import Servers
    from stack.local_secret import local_secret

    _servers = Servers(DATA_DIR)
    DATABASE_URL = DATABASE_URL or _servers.database_url
    BROKER_URL = BROKER_URL or _servers.redis_url

DEBUG = env.bool("DEBUG", default=False)
# Allow plain HTTP, for the local stack only: no redirect to https, cookies without `secure`.
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=EMBEDDED)
ENVIRONMENT = env("ENVIRONMENT", default="local" if INSECURE_HTTP else "production")
# This process's kind and release, for logs, traces, error reports and the table of processes. On
# Fly.io, the platform sets both.
PROCESS_GROUP = (
    env("PROCESS_NAME", default="")
    or env("FLY_PROCESS_GROUP", default="")
    or queues.group_of_command(sys.argv)
)
PROCESS_NAME = PROCESS_GROUP or "commonplace"
RELEASE = env("RELEASE", default=env("FLY_IMAGE_REF", default="")) or release_name(BASE_DIR)

# -- Limits of the product ---------------------------------------------------------------------
# The most entries of a timeline (feeds/).
FEED_LENGTH = env.int("FEED_LENGTH", default=1000)
# Days without a reader after which a timeline is emptied.
FEED_EVICT_DAYS = env.int("FEED_EVICT_DAYS", default=30)
# The most followers that one fan-out transaction serves; a fan-out to more of them is split.
FAN_OUT_RANGE = env.int("FAN_OUT_RANGE", default=20_000)
# Open live streams in a web process: of one person, and in total.
STREAMS_PER_PERSON = env.int("STREAMS_PER_PERSON", default=10)
STREAMS_PER_PROCESS = env.int("STREAMS_PER_PROCESS", default=2000)
# One person's limits: imports, and subscriptions to feeds of other sites.
IMPORTS_OPEN_PER_PERSON = env.int("IMPORTS_OPEN_PER_PERSON", default=20)
IMPORT_BYTES_PER_DAY = env.int("IMPORT_BYTES_PER_DAY", default=200 * 1024 * 1024)
IMPORT_ROWS_PER_DAY = env.int("IMPORT_ROWS_PER_DAY", default=500_000)
IMPORT_COLLECTIONS_PER_DAY = env.int("IMPORT_COLLECTIONS_PER_DAY", default=5_000)
SUBSCRIPTIONS_PER_PERSON = env.int("SUBSCRIPTIONS_PER_PERSON", default=2_000)

# -- Fetching from other sites -----------------------------------------------------------------
# Whether to fetch each saved page, for its title, description and other metadata.
FETCH_METADATA = env.bool("FETCH_METADATA", default=True)
# Pages that are fetched again in an hour because their metadata is old.
FETCH_AGAIN_PER_HOUR = env.int("FETCH_AGAIN_PER_HOUR", default=200)
# Other addresses of the metadata registries, by name; tests use their own.
METADATA_REGISTRIES = env("METADATA_REGISTRIES", default="")
# For outside/fetcher.py: the allowed ports, the allowed addresses on the loopback interface as
# host:port, and a contact for the owners of fetched sites.
FETCH_PORTS = [int(port) for port in env.list("FETCH_PORTS", default=["80", "443"])]
FETCH_TRUSTED = env.list("FETCH_TRUSTED", default=[])
FETCH_CONTACT = env("FETCH_CONTACT", default="")

# -- The event system (eventbook/conf.py has the meaning and the default of each) --------------
QUEUES = queues.load()
BRIDGES = bridges.load(os.environ)
BULK_BACKLOG_LIMIT = env.int("BULK_BACKLOG_LIMIT", default=Conf.BULK_BACKLOG_LIMIT)
KEEP_EVENTS_DAYS = env.int("KEEP_EVENTS_DAYS", default=Conf.KEEP_EVENTS_DAYS)
HEALTH_ADDRESS = env("HEALTH_ADDRESS", default=Conf.HEALTH_ADDRESS)
HEALTH_PORT = env.int("HEALTH_PORT", default=Conf.HEALTH_PORT)
# Must be longer than any wait for a server (the broker, or DATABASE_REPLY_SECONDS of the relay).
HEALTH_STALL_SECONDS = env.float("HEALTH_STALL_SECONDS", default=Conf.HEALTH_STALL_SECONDS)
WATCHDOG_SECONDS = env.float("WATCHDOG_SECONDS", default=Conf.WATCHDOG_SECONDS)
EXPORTER_ADDRESS = env("EXPORTER_ADDRESS", default=Conf.EXPORTER_ADDRESS)
EXPORTER_PORT = env.int("EXPORTER_PORT", default=Conf.EXPORTER_PORT)
# The token with which /metrics can be read; without one, only the local stack serves metrics.
METRICS_TOKEN = env("METRICS_TOKEN", default=Conf.METRICS_TOKEN)
# Flower's address; the admin links to it.
FLOWER_URL = env("FLOWER_URL", default="")

# -- Applications ------------------------------------------------------------------------------
INSTALLED_APPS = [
    # Before Django and drf-spectacular: their templates replace some of those packages'.
    "server",
    "api",
    "accounts.apps.GuardedAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_results",
    "eventbook",
    "eventbook.operate",
    "accounts",
    "pages",
    "cards",
    "imports",
    "exports",
    "notifications",
    "feeds",
    "config",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "server.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "server.links.links",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
STATIC_URL = f"{URL_PREFIX}/static/"
# The directory that `collectstatic` filled (in the Dockerfile); if unset, static files are served
# from the packages.
STATIC_ROOT = env("STATIC_ROOT", default=None)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None

# -- Database ----------------------------------------------------------------------------------
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)
# Whether all statements are prepared (parsed and planned once for many executions). Useful in web
# processes, whose statements are few and repeat; impossible through a pooler that changes sessions
# between transactions. If unset, only statements run by eventbook.database.execute are prepared.
DATABASE_PREPARE = env.bool("DATABASE_PREPARE", default=None)
# The schema of the tables; overrides any `search_path` of the server, the database or the role.
DATABASE_SCHEMA = env("DATABASE_SCHEMA", default="public")
IDLE_TRANSACTION_SECONDS = env.int("IDLE_TRANSACTION_SECONDS", default=30)
# The time limit of a statement, in seconds; 0: none. Web processes have a shorter one
# (server/wsgi.py), workers and operators' commands a longer one (manage.py).
DATABASE_REPLY_SECONDS = env.float("DATABASE_REPLY_SECONDS", default=Conf.DATABASE_REPLY_SECONDS)
# How long a statement may wait for a lock, in seconds; 0: as long as the statement may take.
DATABASE_LOCK_SECONDS = env.float("DATABASE_LOCK_SECONDS", default=0)
DATABASES = {
    "default": configured(
        env.db_url_config(DATABASE_URL, engine="eventbook.database"),
        process=PROCESS_NAME,
        reply_seconds=DATABASE_REPLY_SECONDS,
        lock_seconds=DATABASE_LOCK_SECONDS,
        idle_transaction_seconds=IDLE_TRANSACTION_SECONDS,
        pool_size=DATABASE_POOL_SIZE,
        prepare=DATABASE_PREPARE,
        schema=DATABASE_SCHEMA,
    )
}

# -- API ---------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["api.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsing.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_PAGINATION_CLASS": "api.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "api.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "api.problems.problem_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
SPECTACULAR_SETTINGS = openapi.SPECTACULAR_SETTINGS | {
    "SERVERS": [{"url": URL_PREFIX}] if URL_PREFIX else []
}

# -- Security ----------------------------------------------------------------------------------
# Required unless a server is embedded: whoever can guess the key can forge sessions.
SECRET_KEY = (
    env("SECRET_KEY", default="") or local_secret(DATA_DIR, "secret_key")
    if EMBEDDED
    else env("SECRET_KEY")
)
# Former keys whose sessions and signatures stay valid.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if EMBEDDED else []
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if not INSECURE_HTTP else None
SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [rf"^({URL_PREFIX[1:]}/)?metrics$"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP

# -- Celery ------------------------------------------------------------------------------------
_broker = broker_settings(BROKER_URL, QUEUES.values(), master=env("BROKER_MASTER", default=""))
CELERY_BROKER_URL, CELERY_BROKER_USE_SSL = _broker.url, _broker.use_ssl
CELERY_TASK_QUEUES, CELERY_BROKER_TRANSPORT_OPTIONS = _broker.queues, _broker.transport_options
CELERY_TASK_DEFAULT_QUEUE = "events"
CELERY_TASK_ROUTES = ["eventbook.declare.handlers.route"]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
# How long a child process may take to start: it waits for the database first.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 2 * DATABASE_REPLY_SECONDS or 60
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_TRACK_STARTED = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Flower enables task events when it connects; until then, workers don't send them.
CELERY_WORKER_SEND_TASK_EVENTS = False
# How long a stopping worker waits for its running tasks, in seconds. The kill timeouts of fly.toml
# and of the supervisors must be longer.
SOFT_SHUTDOWN_SECONDS = env.float("SOFT_SHUTDOWN_SECONDS", default=10)
# Celery itself would always wait this long if a task is running, even if the task ends sooner. A
# batch that takes longer is rolled back, and another worker delivers it.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = SOFT_SHUTDOWN_SECONDS
# A run needs no broker: it ends in PostgreSQL, and a repeated message finds it there.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}
# For maintenance tasks only: the tasks that deliver events keep no results, since each delivery's
# row has its outcome.
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = timedelta(days=30)
# Uses of a database connection before it is closed: connecting costs more than a task's work.
CELERY_DB_REUSE_MAX = 500
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "eventbook.beat.scheduler:SlotScheduler"

# -- Logs --------------------------------------------------------------------------------------
LOG_LEVEL = env("LOG_LEVEL", default="INFO")
SENTRY_DSN = env("SENTRY_DSN", default="")
LOGGING_CONFIG = "config.logs.configure"
LOGGING = logs.configuration(
    level=LOG_LEVEL,
    as_json=logs.wants_json(os.environ),
    secrets={SECRET_KEY, *logs.secrets_of(os.environ)},
    sentry={"dsn": SENTRY_DSN, "release": RELEASE, "environment": ENVIRONMENT},
)
