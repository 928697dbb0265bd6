"""The Celery app object; importing it connects nothing."""

from __future__ import annotations

import os

from celery import Celery

from rebalancer.settings import load_settings
from tasks import transport

transport.use()
if not load_settings().flower_control:
    os.environ.setdefault("FLOWER_READ_ONLY", "true")  # where Flower, which this app is given to, takes its options

app = Celery(
    "tasks",
    config_source="celeryconfig",
    include=["tasks.commands", "tasks.control", "tasks.process"],
)
app.set_default()
