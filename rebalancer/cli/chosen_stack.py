"""Which stack a command is for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rebalancer.config import running_stack

DATA_HELP = "Folder of the stack that is meant, if it is not the one that runs here."
Data = Annotated[Path | None, typer.Option("--data", help=DATA_HELP)]


def on_a_stack(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``--data``."""

    @functools.wraps(command)
    def run(*arguments: Any, data: Path | None = None, **options: Any) -> Any:
        if data is not None:
            running_stack.choose(data)
        return command(*arguments, **options)

    known = inspect.signature(command, eval_str=True)
    own = inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Data)
    run.__signature__ = known.replace(parameters=[*known.parameters.values(), own])  # type: ignore[attr-defined]
    return run
