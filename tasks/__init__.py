"""The Celery application: `celery -A tasks worker`, `celery -A tasks beat`, `celery -A tasks flower`."""

import rebalancer.config.lean  # noqa: F401 - before anything else is loaded
from tasks.app import app

__all__ = ["app"]
