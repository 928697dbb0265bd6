"""Commands that are loaded when they are called: who lists them reads their docstrings, and runs none of their code."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from rebalancer.config.loading import nothing_collected

EXTENSIONS = "rebalancer.commands"
"""Entry points by which other packages add commands."""

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Deferred(TyperCommand):
    """Stands for a command, or for a group of them, until it is called.

    Attributes:
        place: ``module:function``, or ``module:app`` for a :class:`typer.Typer`.
    """

    def __init__(self, name: str, place: str, panel: str | None = None, wrapper: Wrapper | None = None) -> None:
        super().__init__(name, rich_help_panel=panel)
        self.place = place
        self._wrapper = wrapper

    @property
    def help(self) -> str:
        """As the command itself has it."""
        return help_of(self.place)

    @help.setter  # noqa: A003 - as the base class calls it
    def help(self, given: str | None) -> None:
        """The base class is given none."""

    def load(self) -> Any:
        """The command itself."""
        module, name = self.place.split(":")
        with nothing_collected():
            import_module("rebalancer.config.lean")  # before anything else
            found = getattr(import_module(module), name)
        holder = typer.Typer(pretty_exceptions_enable=False)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=self.name)
        else:
            holder.command(self.name)(found if self._wrapper is None else self._wrapper(found))
        return get_group(holder).commands[str(self.name)]

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """It is called, or completed: from here on the command itself goes on."""
        return self.load().make_context(*arguments, **options)


class Extensible(TyperGroup):
    """A group that looks for what other packages add once it does not know a name, or lists all."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in their order."""
        self._extend()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """By name; ``None`` where there is none."""
        if cmd_name not in self.commands:
            self._extend()
        return super().get_command(ctx, cmd_name)

    def _extend(self) -> None:
        for extension in entry_points(group=EXTENSIONS):
            self.commands.setdefault(extension.name, Deferred(extension.name, extension.value))


def help_of(place: str) -> str:
    """What the source says of it: a function's docstring, else the ``help`` with which a :class:`typer.Typer` is made.

    Args:
        place: ``module:name``.

    Raises:
        ModuleNotFoundError, LookupError: nothing is there.
    """
    module, name = place.split(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    for node in ast.parse(Path(spec.origin).read_bytes()).body:
        match node:
            case ast.FunctionDef(name=defined) if defined == name:
                return ast.get_docstring(node) or ""
            case ast.Assign(targets=[ast.Name(id=made)], value=ast.Call(keywords=options)) if made == name:
                return next(str(ast.literal_eval(one.value)) for one in options if one.arg == "help")
    raise LookupError(place)
