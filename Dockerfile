# The image of every process of the rebalancer; docker-compose.yaml says which of them a container runs.
#
#   docker build .                     the product
#   docker build --target sandbox .    the product and the simulated outside world
#
# A version tag names the base; `make pin` writes the digest that your registry shows into .env, which Compose builds by:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:... .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# What changes with a release, and what only the sandbox has, is a layer above the packages, so that all images share these.
# numpy, which only eventkit's array operators need, is a third of them: rebalancer/ibkr/eventkit_alone.py.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/rebalancer \
 && pip --python /opt/rebalancer/bin/python install --require-hashes --only-binary :all: -r requirements.lock \
 && pip --python /opt/rebalancer/bin/python uninstall --yes numpy \
 && touch /packages

FROM packages AS program
COPY requirements-build.lock ./
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE celeryconfig.py ./
COPY rebalancer rebalancer
COPY tasks tasks
COPY api api
COPY listener listener
COPY sandbox sandbox
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /dist . \
 && pip --python /opt/rebalancer/bin/python install --no-deps /dist/*.whl

FROM program AS sandbox-program
COPY requirements-sandbox.lock ./
RUN pip --python /opt/rebalancer/bin/python install --require-hashes --only-binary :all: -r requirements-sandbox.lock \
 && pip --python /opt/rebalancer/bin/python uninstall --yes numpy

# The list of an image's parts (CycloneDX) is made of exactly what was installed, by a tool that no image holds. It tells of
# the Python side; what the base brings along its own publisher tells. What is newer than the packages goes above them.
FROM ${PYTHON_IMAGE} AS sbom
COPY requirements-sbom.lock ./
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --require-hashes --only-binary :all: -r requirements-sbom.lock

FROM program AS product-contents
COPY --from=sbom /opt/sbom /opt/sbom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
  --output-file /opt/rebalancer/sbom.cdx.json /opt/rebalancer/bin/python \
 && mkdir /above && cd / \
 && find opt/rebalancer -newer /packages ! -type d -exec cp --archive --parents --target-directory /above {} +

FROM sandbox-program AS sandbox-contents
COPY --from=sbom /opt/sbom /opt/sbom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
  --output-file /opt/rebalancer/sbom.cdx.json /opt/rebalancer/bin/python \
 && mkdir /above && cd / \
 && find opt/rebalancer -newer /packages ! -type d -exec cp --archive --parents --target-directory /above {} +

# No password, no shell to log in with, and only /data in the image may be written to: a volume goes there.
FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 rebalancer \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin rebalancer \
 && install -d -o 10001 -g 10001 /data
ENV PATH=/opt/rebalancer/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# One heap for all threads, of which only one runs at a time, and what a run has freed goes back to the system.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY --from=packages /opt/rebalancer /opt/rebalancer
COPY alembic.ini docker/flowerconfig.py ./
COPY alembic alembic
COPY docker/healthy.sh /usr/local/bin/healthy
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["rebalancer", "--help"]

FROM base AS sandbox
COPY accounts.yaml replacement-sets.yaml ./
COPY --from=sandbox-contents /above/opt/rebalancer /opt/rebalancer

FROM base AS product
COPY --from=product-contents /above/opt/rebalancer /opt/rebalancer
