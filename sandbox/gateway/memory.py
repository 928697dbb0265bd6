"""What the simulated broker remembers when its process ends, as a real one would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.exchange_accounts import AccountState
from sandbox.gateway.exchange_events import Execution, Order, Split
from sandbox.gateway.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything in the books, orders and executions oldest first. Prices are the scenario's again, but for splits."""

    accounts: tuple[AccountState, ...]
    orders: tuple[Order, ...] = ()
    executions: tuple[Execution, ...] = ()
    splits: tuple[Split, ...] = ()


_FORM = TypeAdapter(Memory)


def load(path: Path, setup: Scenario) -> Memory | None:
    """What was saved; ``None`` if nothing was.

    Raises:
        ConfigurationError: the file cannot be read, or belongs to another scenario.
    """
    if not path.exists():
        return None
    try:
        memory = _FORM.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError([f"{path} cannot be read ({reason}): remove it to begin anew"]) from error
    known = {order.symbol for order in memory.orders} <= setup.instruments.keys()
    if {account.account_id for account in memory.accounts} != setup.accounts.keys() or not known:
        raise ConfigurationError([f"{path} remembers another scenario's accounts: remove it, or name its scenario"])
    return memory


def save(path: Path, memory: Memory) -> None:
    """Keep it, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(_FORM.dump_json(memory))
    part.replace(path)
