"""Every error that the program raises, named for what the caller does next.

RebalancerError
  ConfigurationError       stop; tell a person
  NothingRuns              stop; tell a person to start it
  UnknownAccount           name another, or configure it
  AllocationsUnavailable   nothing was sent; retry
    KeyRefused             the same, until a person corrects the key
  GatewayUnavailable       nothing was sent; retry
    AccountInUse           another client trades the account at this moment; retry
  QuoteUnavailable         nothing was sent; retry
  Refused                  nothing was sent; retry slowly and tell a person
  OutcomeUnknown           maybe sent; reconcile, never resend blindly
    HeldToTheClose         the same; wait for the close
  OrdersUnacknowledged     the gateway has them and says nothing; send nothing, a person looks at its screen
  OrdersUnfilled           cancelled and accounted for; what filled counts, retry
  OffTarget                everything is accounted for, but the targets are not held yet; retry
  OrderRejected            the broker said no; code and text are recorded
  RecordUnavailable        the record cannot be kept; nothing more may be sent
  LeaseLost                another worker may own the event; stop without a word
  RemovalRequested         an operator ended the event; stop at this step
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rebalancer.domain.rule_names import Rule


class RebalancerError(Exception):
    """Root of all errors that are ours."""


class ConfigurationError(RebalancerError):
    """A setting or file is wrong; carries every problem found, one per line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NothingRuns(RebalancerError):
    """The stack that was asked for is not up; says how to start it."""


class UnknownAccount(RebalancerError):
    """No account of that id is configured; the message lists those that are."""


class AllocationsUnavailable(RebalancerError):
    """The allocations API did not answer usably; nothing was sent to the broker."""


class KeyRefused(AllocationsUnavailable):
    """The allocations API does not take the key."""


class GatewayUnavailable(RebalancerError):
    """The gateway cannot be reached or fell silent before anything was sent."""


class AccountInUse(GatewayUnavailable):
    """Another client has the turn to trade the account: another installation, or a worker that is not dead yet."""


class QuoteUnavailable(RebalancerError):
    """A symbol has no usable two-sided quote; abandon before the first order."""


class OutcomeUnknown(RebalancerError):
    """An order was perhaps sent; look for its order ref before anything else."""


class HeldToTheClose(OutcomeUnknown):
    """Orders for the closing auction that the exchange lets nobody cancel any more: they fill or end at the close."""


@dataclass
class OrdersUnacknowledged(RebalancerError):
    """The gateway took orders and says nothing of them, as while a window waits on its screen: they may still be sent.

    Attributes:
        order_refs: those orders; whatever else was sent has to be looked up.
        orders: the same in words.
    """

    order_refs: tuple[str, ...]
    orders: str

    def __str__(self) -> str:
        return f"the gateway took {self.orders} and has not said a word of it"


class OrdersUnfilled(RebalancerError):
    """Orders did not fill in time although nothing refused them; none of them is left open."""


class OffTarget(RebalancerError):
    """All orders have ended and the account does not hold its targets: funds or books that lag, a hand that traded."""


@dataclass
class RecordUnavailable(RebalancerError):
    """The ledger is away, or refuses: what cannot go on record must not be done.

    Attributes:
        reason: PostgreSQL's.
        away: it is away or busy, so that the same will work later.
    """

    reason: str
    away: bool

    def __str__(self) -> str:
        return self.reason


class LeaseLost(RebalancerError):
    """This worker no longer holds the event; it must neither trade nor record success."""


class RemovalRequested(RebalancerError):
    """An operator removed the event while it ran."""


@dataclass
class Refused(RebalancerError):
    """The input does not justify any order.

    Attributes:
        reason: one sentence for a person, with the numbers in it.
        numbers: the same numbers, by name, for the record.
    """

    rule: Rule
    reason: str
    numbers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}"


@dataclass
class OrderRejected(RebalancerError):
    """The broker refused an order for good."""

    order_ref: str
    code: int
    text: str

    def __str__(self) -> str:
        return f"order {self.order_ref} was rejected by the broker with code {self.code}: {self.text}"


class RequestRefused(ValueError):
    """A person asked for something that cannot be done; the message says what can."""
