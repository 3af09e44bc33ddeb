# Only the builder has pip and its caches; the final image has neither, and no compiler.
FROM python:3.11-slim AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /app/.venv && /app/.venv/bin/pip install --quiet --upgrade pip
COPY requirements/runtime.txt /tmp/runtime.txt
RUN /app/.venv/bin/pip install --quiet --require-hashes -r /tmp/runtime.txt \
    && /app/.venv/bin/pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    STATIC_ROOT=/app/static \
    DATA_DIR=/tmp/commonplace
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin commonplace \
    && install -d -o commonplace -g commonplace /tmp/commonplace /data
WORKDIR /app
COPY --from=builder /app/.venv /app/.venv
COPY . .
# The settings require these variables, but collectstatic uses none of them.
RUN SECRET_KEY=only-for-collectstatic DATABASE_URL=postgres:///none REDIS_URL=redis://none \
    python manage.py collectstatic --noinput --verbosity=0
USER commonplace
EXPOSE 8080
# Each process group has its own command (fly.toml); the image's default command is a web server.
ENV WEB_ADDRESS=0.0.0.0 WEB_PORT=8080
CMD ["python", "-m", "server"]
