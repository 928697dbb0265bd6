"""The Celery app object; importing it connects nothing."""

from __future__ import annotations

import sys

from celery import Celery

app = Celery(
    "tasks",
    config_source="celeryconfig",
    include=["tasks.commands", "tasks.control", "tasks.process"],
)
app.set_default()

if "flower" in sys.argv:
    from tasks.flower_pages import close_open_pages

    close_open_pages()
