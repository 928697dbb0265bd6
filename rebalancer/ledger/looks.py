"""What is asked every second although there is hardly ever anything to do: all of it in one question."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Select, select

from rebalancer.ledger.session import Ledger


class Looks:
    """Questions that are asked together.

    Args:
        questions: by name; each is answered by one yes or no.
    """

    def __init__(self, ledger: Ledger, questions: Mapping[str, Select[bool]]) -> None:
        self._ledger = ledger
        self.names = tuple(questions)
        self._together = select(*(question.scalar_subquery() for question in questions.values()))

    def found(self) -> list[str]:
        """Names of those that are answered by yes.

        Raises:
            RecordUnavailable: PostgreSQL is away, or one of them cannot be answered.
        """
        with self._ledger.singly() as session:
            answers = session.execute(self._together).one()
        return [name for name, answer in zip(self.names, answers, strict=True) if answer]
