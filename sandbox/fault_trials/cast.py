"""Who takes part in a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

SHIPPED = {"EDC": 0.2141, "QLD": 0.1779, "QQQ": 0.141, "BTAL": 0.2817, "SPXL": 0.0368, "TQQQ": 0.1475}
# Seven accounts of the default scenario; the strategies share the weights of the shipped one.
STRATEGIES: Mapping[str, Sequence[int]] = {"alpha": (1, 2, 3), "beta": (4, 5), "gamma": (6, 7)}
PARTNER = "partner"
"""What the second login's gateway is called."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part, and how the outside world is.

    Attributes:
        accounts: entries of the accounts file.
        targets: weights by symbol, of each strategy.
        tables: strategies whose targets are a table in a file, and whose signals its changes.
        guards: canaries and breakers of strategies, as the accounts file has them.
        scenario: the gateway's; ``None``: the default one.
        workers: so many Celery workers, each with the processes that the settings say.
        broken: name of a variant of the product, see :mod:`sandbox.chaos.sabotage`; none: as it is.
        partners: accounts of a second login, with a gateway and a worker of its own.
    """

    accounts: Sequence[Mapping[str, Any]]
    targets: Mapping[str, Mapping[str, float]]
    scenario: Mapping[str, Any] | None = None
    workers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""
    tables: frozenset[str] = frozenset()
    guards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    partners: frozenset[str] = frozenset()

    @classmethod
    def of_seven(cls) -> Self:
        """Accounts of the default scenario."""
        return cls(_accounts(), dict.fromkeys(STRATEGIES, SHIPPED))


def _accounts() -> list[dict[str, Any]]:
    return [
        {"account_id": f"DU100000{number}", "type": "paper", "strategy_name": strategy}
        for strategy, numbers in STRATEGIES.items()
        for number in numbers
    ]
