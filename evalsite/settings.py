"""One settings file for laptop and server; everything that differs is read from the environment.

EVALSITE_DATA        database, models, keys, media (default: var/)
EVALSITE_URL         the public address, e.g. https://study.example.org; unset: this computer only
PORT                 where the quickstart listens (default: the port of an http:// EVALSITE_URL, else 8000)
EVALSITE_LISTEN      the network address it listens on, when a proxy on another machine stands before it
EVALSITE_DATABASE_URL  postgresql://USER:PASSWORD@HOST/NAME (default: SQLite under EVALSITE_DATA)
EVALSITE_REDIS_URL   redis://HOST:6379/0: pages, streams and models run in processes of their own
EVALSITE_ANSWERS     which models a worker answers with: their keys with commas between them, or all
EVALSITE_UNSAFE_WEIGHTS  "1": old .bin weights that hold more than weights, and so may run code, are registered too
EVALSITE_STALLED_AFTER  seconds without a sign of life after which a model's engine is given up (default: 15)
EVALSITE_HEARTBEAT   a file that workers and the clock touch while they do their work
EVALSITE_HOST        what this machine is called in the record of each reply (default: a hash of its name)
EVALSITE_LOG         "json": one JSON object a line instead of text; EVALSITE_LOG_LEVEL: INFO tells of each reply
EVALSITE_PRODUCTION  "1": keys come from the environment only and debugging stays off
EVALSITE_SECRET_KEY, EVALSITE_FIELD_KEYS, EVALSITE_LOOKUP_KEY   the keys (else made once, under EVALSITE_DATA/keys)
"""

import os
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from evalsite import databases
from evalsite.addresses import port, public_url, seconds
from evalsite.keys import fernet_key, random_key, secret

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("EVALSITE_DATA") or BASE_DIR / "var").resolve()
MODELS_DIR = Path(os.environ.get("EVALSITE_MODELS") or DATA_DIR / "models")
UNSAFE_WEIGHTS = os.environ.get("EVALSITE_UNSAFE_WEIGHTS") == "1"
BACKUPS_DIR = DATA_DIR / "backups"

PRODUCTION = os.environ.get("EVALSITE_PRODUCTION") == "1"
DEBUG = False

KEYS_DIR = DATA_DIR / "keys"
SECRET_KEY = secret("EVALSITE_SECRET_KEY", KEYS_DIR / "secret", random_key, PRODUCTION)
# Newest first: the first key seals, all of them open.
FIELD_KEYS = secret("EVALSITE_FIELD_KEYS", KEYS_DIR / "fields", fernet_key, PRODUCTION).split(",")
LOOKUP_KEY = secret("EVALSITE_LOOKUP_KEY", KEYS_DIR / "lookup", random_key, PRODUCTION)

# Where people reach us -----------------------------------------------------------------------------------------------

PORT = port(os.environ)
PUBLIC_URL = public_url(os.environ) or f"http://localhost:{PORT}"
THIS_COMPUTER_ONLY = not os.environ.get("EVALSITE_URL")
_address = urlsplit(PUBLIC_URL)
OVER_TLS = _address.scheme == "https"
# Behind TLS there is a proxy, and nobody should get past it; in a class network people come straight to us.
LISTEN = os.environ.get("EVALSITE_LISTEN") or ("127.0.0.1" if THIS_COMPUTER_ONLY or OVER_TLS else "0.0.0.0")

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
if not THIS_COMPUTER_ONLY:
    ALLOWED_HOSTS.append(_address.hostname or "")
CSRF_TRUSTED_ORIGINS = [f"{_address.scheme}://{_address.netloc}"]

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if OVER_TLS else None
SECURE_SSL_REDIRECT = OVER_TLS
# The probes of a load balancer come without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if OVER_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = OVER_TLS
SECURE_HSTS_PRELOAD = OVER_TLS
# Nothing leaves the house. "no-referrer" would also take the origin from our own forms, and CSRF checks refuse those.
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = OVER_TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME = "__Host-session" if OVER_TLS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if OVER_TLS else "csrf"
CSRF_FAILURE_VIEW = "evalsite.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "manifest-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# What runs -----------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "accounts",
    "inference",
    "training",
    "ratings",
    "reports",
    "evalsite",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "evalsite.headers.ContentSecurityPolicy",
    "evalsite.headers.PrivacyHeaders",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "accounts.researchers.ResearchersMiddleware",
]

ROOT_URLCONF = "evalsite.urls"
WSGI_APPLICATION = "evalsite.wsgi.application"
ASGI_APPLICATION = "evalsite.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = os.environ.get("EVALSITE_DATABASE_URL", "")
DATABASES = {"default": databases.postgresql(DATABASE_URL) if DATABASE_URL else databases.sqlite(DATA_DIR)}
# Wake-ups for workers and live text, where pages and models run in several processes; without it there is one.
REDIS_URL = os.environ.get("EVALSITE_REDIS_URL", "")
# What a worker answers with: keys of models, or "all".
ANSWERS = os.environ.get("EVALSITE_ANSWERS", "")
# An engine that has work and gives no sign of life for so many seconds hangs.
STALLED_AFTER = seconds(os.environ, "EVALSITE_STALLED_AFTER", default=15)
# Touched by a worker or the clock while all is well, for a health check of its own machine.
HEARTBEAT = os.environ.get("EVALSITE_HEARTBEAT", "")
# Names this machine in the record of each reply: enough to tell two apart, nothing to find one by.
HOST_LABEL = os.environ.get("EVALSITE_HOST") or f"host-{sha256(gethostname().encode()).hexdigest()[:8]}"
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A page that wants to wake a worker waits no longer for Redis than this.
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "periodic"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "desk:studies"
LOGOUT_REDIRECT_URL = "accounts:login"

LANGUAGE_CODE = "en"
USE_I18N = True
LOCALE_PATHS = [BASE_DIR / "templates" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "reports.finders.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "evalsite.staticfiles.CompressedStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
MEDIA_ROOT = DATA_DIR / "media"

# A rating page is a few hundred bytes; study files and replies have their own, larger limit in the upload form.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 100,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Evalsite",
    "DESCRIPTION": "Read a study: its versions, pseudonymous participants, ratings and report.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
}

LOG_LEVEL = os.environ.get("EVALSITE_LOG_LEVEL", "WARNING")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "evalsite.logs.Discreet", "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "evalsite.logs.JsonLines"},
    },
    "filters": {"not_ready": {"()": "evalsite.logs.NotReadyIsNoError"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if os.environ.get("EVALSITE_LOG") == "json" else "text",
        }
    },
    "loggers": {
        # The level is for our own lines: libraries would tell what they send and what they were given.
        **{
            app: {"level": LOG_LEVEL} for app in ("accounts", "evalsite", "inference", "ratings", "reports", "training")
        },
        "django.request": {"filters": ["not_ready"]},
        # Whoever tries the door under another name is turned away; that is nothing to act on.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # The servers' own lines in our form, and none for each address that is asked for.
        "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
        "uvicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        "granian.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
}
