"""Measurements and comparisons, run by hand: none is part of what is shipped or tested."""

BARE_TASK = "bench.bare"
DONE = "bench:done"
"""Of :mod:`bench.bare`, which loads nothing but Celery and Redis."""
