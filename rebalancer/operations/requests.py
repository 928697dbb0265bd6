"""Requests that a person makes, on the API or the command line, checked before they become signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

from rebalancer.config.accounts_file import Account, Accounts
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.rebalance_kinds import read_kind
from rebalancer.ledger.signal_intake import Addressee, NewSignal, Served
from rebalancer.services import Services

if TYPE_CHECKING:
    from rebalancer.queueing.dispatcher import Dispatcher


def read_command(text: str) -> Command:
    """The command that a person typed.

    Raises:
        RequestRefused: naming the known ones.
    """
    if text not in frozenset(Command):
        raise RequestRefused(f"unknown command {text!r}; known are {', '.join(Command)}")
    return Command(text)


def read_account(accounts: Accounts, account_id: str, mode: TradingMode) -> Account:
    """The account that a person named.

    Raises:
        UnknownAccount: naming the configured ones.
        RequestRefused: it is switched off, or of the other trading mode.
    """
    account = accounts.get(account_id)
    if not account.enabled:
        raise RequestRefused(f"account {account_id} is not enabled; set enabled: true in the accounts file")
    if account.type is not accounts.mode_of(account, mode):
        raise RequestRefused(f"account {account_id} is a {account.type} account, but TRADING_MODE is {mode}")
    return account


def request(
    dispatcher: Dispatcher, account: Account, command: Command, data: dict[str, Any], source: Literal["api", "cli"]
) -> Served:
    """Record a person's request and publish it.

    Args:
        data: may choose a kind of rebalance, see :func:`rebalancer.domain.rebalance_kinds.read_kind`.

    Raises:
        RequestRefused: its data ask for what cannot be done.
        RecordUnavailable: PostgreSQL is away; nothing was recorded.
    """
    try:
        kind = read_kind(data)
    except ValueError as wrong:
        raise RequestRefused(str(wrong)) from wrong
    signal = NewSignal(source, uuid4().hex, command, data, kind=kind)
    recorded = dispatcher.submit(signal, [Addressee.of(account)])
    return recorded.served[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on record: the event that serves it, as its how-many-th request.

    Attributes:
        created: the event is new; otherwise one that was waiting or running serves the request too.
    """

    account: Account
    command: Command
    event_id: UUID
    request_no: int
    created: bool


def ask(
    services: Services,
    account_id: str,
    command: Command,
    data: dict[str, Any],
    *,
    source: Literal["api", "cli"],
    note: Callable[[], None],
) -> Asked:
    """Put a person's request on record and publish it, so that its outcome can be told apart from other requests'.

    Args:
        note: puts on record who asks, before anything else is.

    Raises:
        UnknownAccount, RequestRefused: it cannot be done.
    """
    account = read_account(services.accounts(), account_id, services.settings.broker.trading_mode)
    note()
    served = request(services.dispatcher, account, command, data, source)
    return Asked(
        account=account, command=command, event_id=served.event_id, request_no=served.request_no, created=served.created
    )
