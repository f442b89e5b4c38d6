# Two stages: the first may compile, the second only runs. No shell is needed, no root, and
# only /app/state is written: run it with a read-only root and a volume there.
#   docker run --read-only --tmpfs /tmp -v truecount-state:/app/state -v ./config.yaml:/app/config.yaml:ro …
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /app/venv \
 && /app/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY core core
COPY connectors connectors
RUN /app/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN groupadd --gid 10001 truecount && useradd --uid 10001 --gid 10001 --no-create-home truecount \
 && mkdir -p /app/state && chown 10001:10001 /app/state
COPY --from=build /app/venv /app/venv
COPY mappings /app/mappings
WORKDIR /app
USER 10001:10001
VOLUME /app/state
EXPOSE 8080
ENV TRUECOUNT_CONFIG=/app/config.yaml PYTHONDONTWRITEBYTECODE=1
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["/app/venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/readyz', timeout=4)"]
ENTRYPOINT ["/app/venv/bin/truecount"]
CMD ["run"]
