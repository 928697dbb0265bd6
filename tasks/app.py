"""The Celery app object; importing it connects nothing, and says whose queue it works with."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from celery import Celery

from rebalancer.config.running_stack import announce
from rebalancer.config.settings import Settings, resolve
from rebalancer.domain.errors import ConfigurationError, NothingRuns
from tasks import transport


def _settings() -> Settings:
    """`celery -A tasks ...` uses the stack that runs from here, as `rebalancer ...` does."""
    try:
        settings, origin = resolve()
    except (ConfigurationError, NothingRuns) as error:
        sys.stderr.write("".join(f"error: {problem}\n" for problem in str(error).splitlines()))
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    if origin.stack is not None or not origin.places:
        announce(origin)
    return settings


def _needs_tasks(arguments: Sequence[str]) -> bool:
    """Beat and Flower name tasks and run none: without them each is smaller by 30 MB, the broker's client above all."""
    return {"beat", "flower"}.isdisjoint(arguments[1:])


transport.use()
if not _settings().api.flower_control:
    os.environ.setdefault("FLOWER_READ_ONLY", "true")  # where Flower, which this app is given to, takes its options

app = Celery(
    "tasks",
    config_source="celeryconfig",
    include=["tasks.commands", "tasks.inspection", "tasks.revoke", "tasks.process"] if _needs_tasks(sys.argv) else [],
)
app.set_default()
app.steps["consumer"].add("tasks.consumer:ProofOfLife")

if "flower" in sys.argv:
    from tasks.flower_pages import close_open_pages

    close_open_pages()
