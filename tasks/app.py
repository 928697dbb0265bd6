"""The Celery app object; importing it connects nothing."""

from __future__ import annotations

from celery import Celery

app = Celery(
    "tasks",
    config_source="celeryconfig",
    include=["tasks.commands", "tasks.control", "tasks.process"],
)
app.set_default()
