"""The settings; everything that differs between installations is read from the environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from kombu.entity import Queue

from config import logs, queues
from config.postgres.base import ImpatientConnection

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
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if EMBEDDED else []
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Plain HTTP, for the local stack only: no redirect to https, cookies without `secure`.
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=EMBEDDED)
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)
# Whether the server parses and plans a statement once for many uses; for web processes, whose
# statements are few and always the same. Not through a pooler that hands out other sessions.
DATABASE_PREPARE = env.bool("DATABASE_PREPARE", default=False)
IDLE_TRANSACTION_SECONDS = env.int("IDLE_TRANSACTION_SECONDS", default=30)
# The longest that a statement may take; 0 for no limit. Web processes have less (config/wsgi.py),
# workers and operators more (manage.py).
DATABASE_REPLY_SECONDS = env.float("DATABASE_REPLY_SECONDS", default=30)
# Open events and deliveries of bulk work from which on more of it is refused (429).
BULK_BACKLOG_LIMIT = env.int("BULK_BACKLOG_LIMIT", default=500_000)
# Events stay for so long, 0 for ever; with them goes what could be replayed or looked back at.
KEEP_EVENTS_DAYS = env.int("KEEP_EVENTS_DAYS", default=0)
TOKEN_TTL_DAYS = env.int("TOKEN_TTL_DAYS", default=30)
# More followers than twice this make a fan-out of several transactions, of this many each.
FAN_OUT_RANGE = env.int("FAN_OUT_RANGE", default=10_000)
FEED_LENGTH = env.int("FEED_LENGTH", default=1000)
FEED_EVICT_DAYS = env.int("FEED_EVICT_DAYS", default=30)
# Who knows it may read /metrics; without it, only the local stack shows them.
METRICS_TOKEN = env("METRICS_TOKEN", default="")
LOG_LEVEL = env("LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("LOG_JSON", default=not INSECURE_HTTP)

# -- Applications ------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "django_filters",
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
MIDDLEWARE = [
    "config.outage.OutageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "events.middleware.TraceparentMiddleware",
    "config.idempotency.IdempotencyMiddleware",
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
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "static/"
# Where `collectstatic` put the files (the Dockerfile does); without, they come from the packages.
STATIC_ROOT = env("STATIC_ROOT", default=None)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None

# -- Database ----------------------------------------------------------------------------------
_database: dict[str, Any] = env.db_url_config(DATABASE_URL, engine="config.postgres")
_database.setdefault("OPTIONS", {}).update(
    {
        # Allows for the statements that are to be prepared (events/sql.py).
        "prepare_threshold": 5,
        "connect_timeout": 2,
        # A server that vanished without a word is given up after about 25 s.
        "tcp_user_timeout": 20_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # The same from the server's side, and the end of a transaction whose process hangs: what
        # it had locked could not be delivered by anyone else.
        "options": " ".join(
            f"-c {name}={value}"
            for name, value in {
                "tcp_keepalives_idle": 10,
                "tcp_keepalives_interval": 5,
                "tcp_keepalives_count": 3,
                "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s",
                # The server gives up a little earlier than we do, and says why.
                "statement_timeout": int(DATABASE_REPLY_SECONDS * 900),
            }.items()
        ),
        "application_name": env("PROCESS_NAME", default="commonplace"),
    }
)
if DATABASE_PREPARE:
    _database["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 2}
if DATABASE_POOL_SIZE:
    _database["OPTIONS"]["pool"] = {
        "connection_class": ImpatientConnection,
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": 2,
        # After that, the next request tries again at once; the pauses between attempts double.
        "reconnect_timeout": 1,
    }
    _database["CONN_HEALTH_CHECKS"] = True
else:
    # Workers and the relay: one connection a process, kept between tasks, tested before use.
    _database["CONN_MAX_AGE"] = None
    _database["CONN_HEALTH_CHECKS"] = True
DATABASES = {"default": _database}

# -- People ------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "accounts.hashers.LeanArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=TOKEN_TTL_DAYS),
    "AUTH_HEADER_PREFIX": "Token",
}

# -- API ---------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.parsing.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "config.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "config.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "config.problems.problem_handler",
    "DEFAULT_THROTTLE_RATES": {"login": "20/min"},
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Commonplace",
    "DESCRIPTION": (BASE_DIR / "config" / "api.md").read_text(),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": r"/api/v[0-9]+",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# -- Security ----------------------------------------------------------------------------------
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if not INSECURE_HTTP else None
SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

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
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_TRACK_STARTED = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Whoever watches (Flower) turns task events on; until then they cost nothing.
CELERY_WORKER_SEND_TASK_EVENTS = False
# Celery sleeps this long whenever a task is running, however soon it ends; a batch that takes
# longer is rolled back, and delivered by another worker.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0
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
LOGGING = logs.configuration(level=LOG_LEVEL, as_json=LOG_JSON)
