"""The Celery application: `celery -A tasks worker`, `celery -A tasks beat`, `celery -A tasks flower`."""

from rebalancer.config.loading import nothing_collected

with nothing_collected():
    import rebalancer.config.lean  # before anything else is loaded
    import rebalancer.config.lean_pool  # noqa: F401 - before Celery
    from tasks.app import app

__all__ = ["app"]
