"""Flower's pages that ask nobody who is there, `/metrics` and `/healthcheck`, ask like all its others.

Flower has no setting for this. Whoever starts it names this application (`celery -A tasks flower`), which is where the
pages are closed, before Flower serves any.
"""

from __future__ import annotations

from flower.views.monitor import Healthcheck, Metrics
from tornado.web import authenticated

OPEN = (Metrics, Healthcheck)


def close_open_pages() -> None:
    """Let :data:`OPEN` ask for the login; without one in Flower's settings everything stays open."""
    for page in OPEN:
        page.get = authenticated(page.get)
