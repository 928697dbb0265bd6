"""What is asked every second although there is hardly ever anything to do: all of it in one question."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Select, select

from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Ledger


class Looks:
    """Questions that are asked together.

    Args:
        name: of all together, an identifier.
        questions: by name; each is answered by one yes or no.
    """

    def __init__(self, ledger: Ledger, name: str, questions: Mapping[str, Select[bool]]) -> None:
        self._ledger = ledger
        self.names = tuple(questions)
        self._all = Prepared(name, select(*(question.scalar_subquery() for question in questions.values())))

    def found(self) -> list[str]:
        """Names of those that are answered by yes.

        Raises:
            RecordUnavailable: PostgreSQL is away, or one of them cannot be answered.
        """
        answers = self._ledger.answers(self._all)
        return [name for name, answer in zip(self.names, answers, strict=True) if answer]
