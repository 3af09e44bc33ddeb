"""The settings; everything that differs between installations is read from the environment."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ
from kombu.entity import Queue

from config import logs, openapi, queues, release
from config.people import *  # noqa: F403
from config.postgres.configuration import configured
from config.web.settings import *  # noqa: F403
from config.web.settings import URL_PREFIX

# Lets classes name their type arguments (`ModelAdmin[Card]`) at run time too.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- The environment ---------------------------------------------------------------------------
# Without DATABASE_URL or REDIS_URL, the servers of the local stack stand in (config/embedded.py).
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / ".data")))
DATABASE_URL = env("DATABASE_URL", default="")
REDIS_URL = env("REDIS_URL", default="")
EMBEDDED = not (DATABASE_URL and REDIS_URL)
if EMBEDDED:
    from config.embedded import Servers
    from config.local_secret import local_secret

    _servers = Servers(DATA_DIR)
    DATABASE_URL = DATABASE_URL or _servers.database_url
    REDIS_URL = REDIS_URL or _servers.redis_url

DEBUG = env.bool("DEBUG", default=False)
# Required with servers of one's own: a key that anyone can guess forges sessions.
SECRET_KEY = (
    env("SECRET_KEY", default="") or local_secret(DATA_DIR, "secret_key")
    if EMBEDDED
    else env("SECRET_KEY")
)
# Keys of the past, whose sessions and signatures still count.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if EMBEDDED else []
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Plain HTTP, for the local stack only: no redirect to https, cookies without `secure`.
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=EMBEDDED)
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)
# Whether the server parses and plans a statement once for many uses; for web processes, whose
# statements are few and always the same. Not through a pooler that hands out other sessions. Where
# it isn't said, only the statements of events/sql.py are.
DATABASE_PREPARE = env.bool("DATABASE_PREPARE", default=None)
# Where the tables are: whatever `search_path` the server, the database or the role has set.
DATABASE_SCHEMA = env("DATABASE_SCHEMA", default="public")
IDLE_TRANSACTION_SECONDS = env.int("IDLE_TRANSACTION_SECONDS", default=30)
# The longest that a statement may take; 0 for no limit. Web processes have less (config/wsgi.py),
# workers and operators more (manage.py).
DATABASE_REPLY_SECONDS = env.float("DATABASE_REPLY_SECONDS", default=30)
# The longest that a statement may wait for a lock; 0 for as long as the statement may take.
DATABASE_LOCK_SECONDS = env.float("DATABASE_LOCK_SECONDS", default=0)
# Open events and deliveries of bulk work from which on more of it is refused (429).
BULK_BACKLOG_LIMIT = env.int("BULK_BACKLOG_LIMIT", default=500_000)
# Events stay for so long, 0 for ever; with them goes what could be replayed or looked back at.
KEEP_EVENTS_DAYS = env.int("KEEP_EVENTS_DAYS", default=365)
# More followers than this make a fan-out of several transactions, of this many each at most.
FAN_OUT_RANGE = env.int("FAN_OUT_RANGE", default=20_000)
# Live streams of one person, and of all, that a web process holds open.
STREAMS_PER_PERSON = env.int("STREAMS_PER_PERSON", default=10)
STREAMS_PER_PROCESS = env.int("STREAMS_PER_PROCESS", default=2000)
FEED_LENGTH = env.int("FEED_LENGTH", default=1000)
FEED_EVICT_DAYS = env.int("FEED_EVICT_DAYS", default=30)
# How much one person may import, and how many feeds they may subscribe to.
IMPORTS_OPEN_PER_PERSON = env.int("IMPORTS_OPEN_PER_PERSON", default=20)
IMPORT_BYTES_PER_DAY = env.int("IMPORT_BYTES_PER_DAY", default=200 * 1024 * 1024)
IMPORT_ROWS_PER_DAY = env.int("IMPORT_ROWS_PER_DAY", default=500_000)
IMPORT_COLLECTIONS_PER_DAY = env.int("IMPORT_COLLECTIONS_PER_DAY", default=5_000)
SUBSCRIPTIONS_PER_PERSON = env.int("SUBSCRIPTIONS_PER_PERSON", default=2_000)
# Whether pages that are saved are fetched, for what they say of themselves.
FETCH_METADATA = env.bool("FETCH_METADATA", default=True)
# Pages an hour that are fetched again because what is known of them is old.
FETCH_AGAIN_PER_HOUR = env.int("FETCH_AGAIN_PER_HOUR", default=200)
# Where registries are, each under its name, if not where they are for everybody (in tests).
METADATA_REGISTRIES = env("METADATA_REGISTRIES", default="")
# What is fetched from outside (outside/fetcher.py): from these ports, and from places on the
# loopback interface that are named as host:port; and whom the owner of a site can turn to.
FETCH_PORTS = [int(port) for port in env.list("FETCH_PORTS", default=["80", "443"])]
FETCH_TRUSTED = env.list("FETCH_TRUSTED", default=[])
FETCH_CONTACT = env("FETCH_CONTACT", default="")
# Who knows it may read /metrics; without it, only the local stack shows them.
METRICS_TOKEN = env("METRICS_TOKEN", default="")
# Where staff find Flower; the admin links to it.
FLOWER_URL = env("FLOWER_URL", default="")
# What kind of process this is, and which release: logs, traces, reports of errors and the rows of
# processes tell it.
PROCESS_NAME = env("PROCESS_NAME", default=env("FLY_PROCESS_GROUP", default="commonplace"))
RELEASE = env("RELEASE", default=env("FLY_IMAGE_REF", default="")) or release.of(BASE_DIR)
ENVIRONMENT = env("ENVIRONMENT", default="local" if INSECURE_HTTP else "production")
SENTRY_DSN = env("SENTRY_DSN", default="")
# Where workers, relays and beat answer checks of their health; 0 for nowhere.
HEALTH_PORT = env.int("HEALTH_PORT", default=0)
HEALTH_ADDRESS = env("HEALTH_ADDRESS", default="127.0.0.1")
# Longer than any server is waited for (DATABASE_REPLY_SECONDS of the relay, and the broker).
HEALTH_STALL_SECONDS = env.float("HEALTH_STALL_SECONDS", default=60)
# A process that has failed its own check for so long ends itself, to be started anew; 0 for never.
WATCHDOG_SECONDS = env.float("WATCHDOG_SECONDS", default=300)
# How long a worker that is told to stop waits for what it has in hand; fly.toml's kill_timeout and
# the supervisors' are longer.
SOFT_SHUTDOWN_SECONDS = env.float("SOFT_SHUTDOWN_SECONDS", default=10)
LOG_LEVEL = env("LOG_LEVEL", default="INFO")

# -- Applications ------------------------------------------------------------------------------
INSTALLED_APPS = [
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
    "events",
    "accounts",
    "cards",
    "notifications",
    "feeds",
    "config",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.pages.links",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = f"{URL_PREFIX}/static/"
# Where `collectstatic` put the files (the Dockerfile does); without, they come from the packages.
STATIC_ROOT = env("STATIC_ROOT", default=None)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None

# -- Database ----------------------------------------------------------------------------------
DATABASES = {
    "default": configured(
        env.db_url_config(DATABASE_URL, engine="config.postgres"),
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
    "DEFAULT_RENDERER_CLASSES": ["config.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.parsing.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_PAGINATION_CLASS": "config.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "config.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "config.problems.problem_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
SPECTACULAR_SETTINGS = openapi.SPECTACULAR_SETTINGS | {
    "SERVERS": [{"url": URL_PREFIX}] if URL_PREFIX else []
}

# -- Security ----------------------------------------------------------------------------------
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if not INSECURE_HTTP else None
SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [rf"^({URL_PREFIX[1:]}/)?metrics$"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP

# -- Queues and Celery -------------------------------------------------------------------------
QUEUES = queues.load()
CELERY_BROKER_URL = REDIS_URL
# A routing key each: the default one would bind every queue to the same messages.
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in QUEUES]
CELERY_TASK_DEFAULT_QUEUE = "events"
CELERY_TASK_ROUTES = ["events.registry.route"]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
# A child connects to the database first: it may take as long as that takes to answer, or not to.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 2 * DATABASE_REPLY_SECONDS or 60
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_TRACK_STARTED = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Whoever watches (Flower) turns task events on; until then they cost nothing.
CELERY_WORKER_SEND_TASK_EVENTS = False
# Celery sleeps this long whenever a task is running, however soon it ends; a batch that takes
# longer is rolled back, and delivered by another worker.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = SOFT_SHUTDOWN_SECONDS
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # What a dead worker held is swept, sooner than kombu would restore it; its bookkeeping of
    # messages in the broker costs as much as all the rest that a worker does with one.
    "ack_emulation": False,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "health_check_interval": 10,
    # The two lanes of a queue: interactive work, and bulk work behind it (events/broker.py).
    "priority_steps": [0, 9],
}
# The event path keeps no results: its deliveries are the record. Maintenance keeps them.
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = timedelta(days=30)
# Keep the database connection between tasks: reconnecting costs more than the work.
CELERY_DB_REUSE_MAX = 500
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "events.beat:SlotScheduler"

# -- Logs --------------------------------------------------------------------------------------
LOGGING_CONFIG = "config.logs.configure"
LOGGING = logs.configuration(
    level=LOG_LEVEL,
    as_json=logs.wants_json(os.environ),
    secrets={SECRET_KEY, *logs.secrets_of(os.environ)},
    sentry={"dsn": SENTRY_DSN, "release": RELEASE, "environment": ENVIRONMENT},
)
