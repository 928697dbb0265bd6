"""One task per command, so that Flower and the logs show what runs; all of them do what the ledger says."""

from __future__ import annotations

from rebalancer.domain.commands import Command
from tasks.app import app
from tasks.base import EventTask, execute

for _command in Command:
    app.task(bind=True, base=EventTask, name=str(_command))(execute)
