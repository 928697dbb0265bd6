"""`python -m tasks worker`, and so beat and flower: as `celery -A tasks worker`, in a process that is 10 MB smaller.

Celery's own command line loads all its commands into each process, Flower and a shell for the terminal among them.
"""

from __future__ import annotations

from importlib import import_module

import click

from rebalancer.config.lean import without_terminal
from rebalancer.config.loading import nothing_collected
from tasks.app import app

with nothing_collected(), without_terminal():
    from celery.bin.base import CLIContext

_MODULES = {"worker": "celery.bin.worker", "beat": "celery.bin.beat", "flower": "flower.command"}


class Commands(click.Group):
    """Loads the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        del ctx
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The one of that name."""
        del ctx
        module = _MODULES.get(cmd_name)
        if module is None:
            return None
        with nothing_collected():
            app.loader.import_default_modules()  # the tasks, which Celery would load in a moment
            found: click.Command = getattr(import_module(module), cmd_name)
        return found


@click.group(cls=Commands)
@click.pass_context
def main(context: click.Context) -> None:
    """Celery's commands for what runs all the time, with Celery's own options."""
    context.obj = CLIContext(app=app, no_color=False, workdir=None)


if __name__ == "__main__":
    main(prog_name="python -m tasks", auto_envvar_prefix="CELERY")
