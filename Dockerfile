# Two images: the program, which runs as pages, streams, worker, clock and setup; and the proxy with its settings.

FROM python:3.11-slim AS evalsite

RUN useradd --uid 10001 --user-group --no-create-home evalsite \
    && install -d -o evalsite -g evalsite /data /models
WORKDIR /srv/evalsite

# Which build of the pinned torch: arguments for pip, with the address that the PyTorch site gives.
ARG TORCH_PIP_ARGS=""
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
COPY install.sh pyproject.toml constraints.txt README.md ./
RUN ./install.sh /srv/venv . $TORCH_PIP_ARGS
COPY . .

ENV PATH=/srv/venv/bin:$PATH HOME=/tmp EVALSITE_DATA=/data EVALSITE_MODELS=/models
USER evalsite
VOLUME ["/data", "/models"]
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "evalsite.wsgi:application"]
# For the command above; docker-compose.yml has one for each service.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]


FROM caddy:2 AS proxy

# The ports it listens on need no privilege. A copy of the program asks for none, as the original does, which would not
# start without.
RUN adduser -D -H -u 10002 evalsite \
    && mkdir -p /data /config && chown evalsite /data /config \
    && cp /usr/bin/caddy /usr/local/bin/caddy
WORKDIR /srv/evalsite
COPY deploy/Caddyfile deploy/Caddyfile
USER evalsite
