"""How values are written for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.domain.actors import person, who
from rebalancer.domain.currencies import USD, CurrencyPair
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.ledger.states import EventState
from rebalancer.planning.conversion import every_order

STATE_WORDS = {
    EventState.QUEUED: "queued",
    EventState.RUNNING: "running",
    EventState.RETRYING: "retrying",
    EventState.HELD: "held",
    EventState.SUCCEEDED: "done",
    EventState.REMOVED: "removed",
}
MINUS = "\N{MINUS SIGN}"
UNKNOWN = "\N{EN DASH}"
JOINER = "\N{WORD JOINER}"
"""Keeps a minus with its amount: a sale at the end of a line must not read as a purchase."""


def money(amount: Decimal | str | None) -> str:
    """USD with cents: ``$1,234.50``."""
    if amount is None:
        return UNKNOWN
    value = Decimal(amount)
    return f"{MINUS + JOINER if value < 0 else ''}${abs(value):,.2f}"


def price(amount: Decimal | str | None, symbol: str) -> str:
    """USD per share; of a pair of currencies so many units of the second for one of the first: ``1.16455``."""
    if amount is None or CurrencyPair.read(symbol) is None:
        return money(amount)
    return f"{Decimal(amount):.5f}"


def cash_in(amount: Decimal, currency: str) -> str:
    """Cash of any currency: dollars as ever, others by their names: ``1,234.50 EUR``."""
    return money(amount) if currency == USD else f"{_signed(amount, ',.2f')} {currency}"


def in_base(base: BaseCurrency, usd: Decimal) -> str:
    """Dollars in an account's own currency: ``1,234.50 EUR``."""
    return f"{_signed(base.of(usd), ',.2f')} {base.currency}"


def own_cash(base: BaseCurrency) -> str:
    """What an account has in its own currency."""
    return f"{_signed(base.cash, ',.2f')} {base.currency}"


def gain(amount: Decimal | None) -> str:
    """What was won or lost, always with its sign: ``+$12.30``."""
    return money(amount) if amount is None or amount <= 0 else f"+{money(amount)}"


def direction(amount: Decimal | None) -> str:
    """A gain's colour, as the style sheet calls it."""
    return "" if not amount else "up" if amount > 0 else "down"


def percent(fraction: Decimal | str | None) -> str:
    """A weight: ``59.4 %``."""
    return UNKNOWN if fraction is None else f"{_signed(Decimal(fraction) * 100, '.1f')} %"


def points(fraction: Decimal | None) -> str:
    """A drift in percentage points, always with its sign: ``+1.2``."""
    if fraction is None:
        return UNKNOWN
    value = fraction * 100
    return f"+{value:.1f}" if round(value, 1) > 0 else _signed(value, ".1f")


def quantity(shares: Decimal | str | int) -> str:
    """Shares, without zeros that say nothing."""
    value = Decimal(shares)
    return f"{value:,.0f}" if value == value.to_integral_value() else f"{value.normalize():,f}"


def count(number: int, what: str) -> str:
    """``no buy``, ``1 buy``, ``2 buys``."""
    return f"{number or 'no'} {what}{'s' if number > 1 else ''}"


def counted(number: int, what: str) -> str:
    """The same with a figure where there is none: ``0 buys``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def moment(at: datetime | None) -> str:
    """``2026-03-02 17:00:08 UTC``."""
    return "never" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: datetime) -> str:
    """For the ``datetime`` attribute, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def state_word(state: EventState) -> str:
    """A state as people call it."""
    return STATE_WORDS[state]


def _signed(value: Decimal, form: str) -> str:
    text = format(abs(value), form)
    return f"{MINUS}{text}" if value < 0 and Decimal(text) else text


FILTERS = (
    price,
    every_order,
    who,
    person,
    money,
    cash_in,
    in_base,
    own_cash,
    gain,
    direction,
    percent,
    points,
    quantity,
    counted,
    moment,
    iso,
    state_word,
)
"""What the templates call by its name."""
