"""Celery's pool without a parser of C, by which each worker process would tell the kernel that it dies with its parent:
2 MB of each. Import this before Celery.
"""

from rebalancer.config.lean import without

with without("cffi"):
    import billiard.util  # noqa: F401
