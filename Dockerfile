FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/holdfast
COPY requirements.lock /src/
RUN /opt/holdfast/bin/pip install --require-hashes --requirement /src/requirements.lock
COPY pyproject.toml README.md LICENSE /src/
COPY migrations /src/migrations
COPY app /src/app
RUN /opt/holdfast/bin/pip install --no-deps --no-build-isolation /src

FROM python:3.13-slim
# httpx2, which mcp brings, trusts the operating system's certificates.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home holdfast
COPY --from=build /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/holdfast
EXPOSE 8000
STOPSIGNAL SIGTERM
# Listening beyond loopback needs HOLDFAST_API_KEY; a lasting database needs DATABASE_URL.
ENV HOLDFAST_HOST=0.0.0.0 HOLDFAST_PORT=8000
# Of a process that serves HTTP. A container that only works is asked with `holdfast workers --here` (compose.yaml).
HEALTHCHECK --start-period=30s --interval=15s --timeout=5s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['HOLDFAST_PORT'] + '/readyz', timeout=4)"]
ENTRYPOINT ["holdfast"]
CMD ["serve"]
