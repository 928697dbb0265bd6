"""What the simulated broker remembers when its process ends, as a real one would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.exchange_accounts import AccountState
from sandbox.gateway.exchange_events import Execution, Movement, Order, Split
from sandbox.gateway.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything in the books, orders and executions oldest first. Prices are the scenario's again, but for splits."""

    accounts: tuple[AccountState, ...]
    orders: tuple[Order, ...] = ()
    executions: tuple[Execution, ...] = ()
    splits: tuple[Split, ...] = ()
    movements: tuple[Movement, ...] = ()


_FORM = TypeAdapter(Memory)
_FEW = 1000
T = TypeVar("T")


class BookFile:
    """Books on disk: the first line has everything, each further one what has changed since. What was kept once stays,
    whatever becomes of the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Memory | None = None
        self._lines = 0

    def load(self, setup: Scenario, *, partly: bool = False) -> Memory | None:
        """What was kept; ``None`` if nothing was.

        Args:
            partly: of some of the scenario's accounts.

        Raises:
            ConfigurationError: the file cannot be read, or belongs to another scenario.
        """
        if not self._path.exists():
            return None
        try:
            first, *others = self._path.read_bytes().split(b"\n")
            memory = _FORM.validate_json(first)
            for line in others[:-1]:  # behind the last end of a line there may be half of one, of which nobody was told
                memory = _after(memory, _FORM.validate_json(line))
        except (OSError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            text = f"{self._path} cannot be read ({reason}): remove it to begin anew"
            raise ConfigurationError([text]) from error
        known = {order.symbol for order in memory.orders} <= setup.instruments.keys()
        accounts = {account.account_id for account in memory.accounts}
        if not known or not (accounts <= setup.accounts.keys() if partly else accounts == setup.accounts.keys()):
            text = f"{self._path} remembers another scenario's accounts: remove it, or name its scenario"
            raise ConfigurationError([text])
        return memory

    def keep(self, memory: Memory) -> None:
        """Write what has changed, or everything when the changes have become longer than that.

        Raises:
            OSError: it could not be written; the next time everything is.
        """
        before, self._kept = self._kept, None
        if before is None or self._lines > len(memory.orders) + _FEW:
            part = self._path.with_name(f".{self._path.name}.part")
            part.write_bytes(_FORM.dump_json(memory) + b"\n")
            part.replace(self._path)
            self._lines = 0
        else:
            with self._path.open("ab") as file:
                file.write(_FORM.dump_json(_changes(before, memory)) + b"\n")
            self._lines += 1
        self._kept = memory


def _changes(before: Memory, now: Memory) -> Memory:
    """What is new or another in the books; records are replaced, never changed, and keep their places."""
    return Memory(
        _others(before.accounts, now.accounts),
        _others(before.orders, now.orders),
        _others(before.executions, now.executions),
        now.splits,
        now.movements[len(before.movements) :],
    )


def _others(before: Sequence[T], now: Sequence[T]) -> tuple[T, ...]:
    return tuple(one for old, one in zip_longest(before, now) if one is not old)


def _after(memory: Memory, changes: Memory) -> Memory:
    accounts = {one.account_id: one for one in (*memory.accounts, *changes.accounts)}
    orders = {one.perm_id: one for one in (*memory.orders, *changes.orders)}
    executions = {one.execution_id.rpartition(".")[0]: one for one in (*memory.executions, *changes.executions)}
    books = tuple(accounts.values()), tuple(orders.values()), tuple(executions.values())
    return Memory(*books, changes.splits, (*memory.movements, *changes.movements))
