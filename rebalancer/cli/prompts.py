"""Questions to a person, each of which an option can answer instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import typer

from rebalancer.domain.errors import RequestRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks, or with ``--no-input`` insists on options.

    Attributes:
        interactive: somebody is there to answer.
    """

    interactive: bool

    def value(
        self,
        question: str,
        option: str,
        read: Callable[[str], T],
        *,
        given: str | None = None,
        default: str | None = None,
        secret: bool = False,
    ) -> T:
        """An answer that can be used.

        Args:
            read: makes a value of the text, or raises ``ValueError`` with what may be written.
            given: what the option says; then nothing is asked.
            default: taken for an empty answer, and without anybody to ask.

        Raises:
            RequestRefused: nobody can be asked, and the option is missing or wrong.
        """
        if given is not None:
            return self._read(option, given, read)
        if not self.interactive:
            if default is None:
                raise RequestRefused(f"{option} is needed with --no-input ({question.lower()})")
            return self._read(option, default, read)
        if secret:
            return _secret(question, default, read)
        answer: T = typer.prompt(
            question, default=default, show_default=bool(default), value_proc=lambda text: _or_again(text, read)
        )
        return answer

    def agree(self, question: str, *, option: str, given: bool) -> None:
        """Go on only if the person wants that.

        Raises:
            RequestRefused: nobody can be asked, and the option was not given.
            Abort: the person does not want it.
        """
        if given:
            return
        if not self.interactive:
            raise RequestRefused(f"{question} Give {option} if so.")
        typer.confirm(question, abort=True)

    @staticmethod
    def _read(option: str, text: str, read: Callable[[str], T]) -> T:
        try:
            return read(text)
        except ValueError as wrong:
            raise RequestRefused(f"{option}: {wrong}") from wrong


def _secret(question: str, default: str | None, read: Callable[[str], T]) -> T:
    """Ask without showing what is typed; Typer's own loop would hide the reason of a refusal as well."""
    while True:
        text = typer.prompt(question, default=default, hide_input=True, show_default=False)
        try:
            return read(str(text).strip())
        except ValueError as wrong:
            typer.echo(f"Error: {wrong}")


def _or_again(text: str, read: Callable[[str], T]) -> T:
    try:
        return read(text.strip())
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
