"""The Celery application: `celery -A tasks worker`, `celery -A tasks beat`, `celery -A tasks flower`."""

from rebalancer.config.lean import without  # before anything else is loaded

with without("cffi"):  # by its parser of C each worker process would tell the kernel that it dies with its parent: 2 MB
    import billiard.util  # noqa: F401

from tasks.app import app

__all__ = ["app"]
