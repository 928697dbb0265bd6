"""A gateway that misbehaves as its fault settings say, and is healthy where they say nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from rebalancer.domain.money import CENT, ZERO
from sandbox.gateway.account_values import LEDGER_PREFIX
from sandbox.gateway.behaviour import Admission, Behaviour, Delivery, Incoming, LineAnswer
from sandbox.gateway.checks import Lingering, Refusal
from sandbox.gateway.exchange_events import Execution, Lagging, Order
from sandbox.gateway.fault_settings import ALL_SYMBOLS, Code, Faults
from sandbox.gateway.fill_rules import Fills
from sandbox.gateway.market import Quote
from sandbox.gateway.messages import (
    ACCOUNT_UPDATE_MULTI,
    ACCOUNT_VALUE,
    COMMISSION,
    PORTFOLIO,
    POSITION,
    POSITION_MULTI,
    SUMMARY,
)
from sandbox.gateway.requests import PLACE_ORDER
from sandbox.gateway.tickets import Ticket
from sandbox.gateway.windows import Window
from sandbox.gateway.wire import Message

T = TypeVar("T")
C = TypeVar("C", bound=Code)
_SYMBOL_AT: Mapping[object, int] = {POSITION: 4, POSITION_MULTI: 5, PORTFOLIO: 3}
"""Where rows of positions name their symbol."""
_KEY_AT: Mapping[object, int] = {ACCOUNT_UPDATE_MULTI: 5, ACCOUNT_VALUE: 2, SUMMARY: 4}
"""Where account values name their key; its text follows."""
_LIVE, _DELAYED = 1, 3
_COMMISSION_AT = 3

HALF_PIP = Decimal("0.00005")
_NO_FAULTS = Faults()


class FaultyBehaviour(Behaviour):
    """Asks the present settings each time, so that they can change while clients are connected."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._healthy = faults == _NO_FAULTS
        self._used: Counter[str] = Counter()

    @property
    def faults(self) -> Faults:
        """What goes wrong at present."""
        return self._faults

    def change(self, faults: Faults) -> None:
        """Replace all settings; counts of limited faults start again."""
        self._faults = faults
        self._healthy = faults == _NO_FAULTS
        self._used.clear()

    def admission(self) -> Admission:
        """F2, F8."""
        return Admission(self._faults.connections)

    def client_id_taken(self, client_id: int) -> bool:
        """F1."""
        return client_id in self._faults.taken_client_ids

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        """F4, F5, F6."""
        del client_id
        if self._faults.muted or message_id in self._faults.ignored_requests:
            return Incoming.IGNORE
        reset = self._faults.order_reset
        if message_id == PLACE_ORDER and reset and self._take("order_reset", reset.times):
            return Incoming.RESET_BEFORE if reset.when == "before" else Incoming.RESET_AFTER
        return Incoming.HANDLE

    def outgoing(self, client_id: int, message: Message) -> Sequence[Delivery]:
        """F6, F9, F10, F17, F28."""
        if self._healthy:  # which is asked for every message of every list
            return (Delivery(message),)
        del client_id
        faults, message_id = self._faults, message[0]
        if faults.muted or message_id in faults.dropped_messages or _hidden(faults, message):
            return ()
        if faults.account_not_ready and (at := _KEY_AT.get(message_id)) and message[at] == "AccountReady":
            message = (*message[: at + 1], "false", *message[at + 2 :])
        if message_id == COMMISSION and faults.commission is not None:
            message = (*message[:_COMMISSION_AT], faults.commission, *message[_COMMISSION_AT + 1 :])
        several = [message] * (2 if message_id in faults.duplicated_messages else 1)
        delay_s = float(faults.delayed_ms.get(int(str(message_id)), ZERO)) / 1000
        return [Delivery(each, delay_s) for each in several]

    def listed(self, executions: Sequence[Execution]) -> Sequence[Execution]:
        """F27."""
        answers = {"whole": executions, "partial": executions[1::2], "empty": ()}
        return answers[self._faults.executions]

    def frames(self, data: bytes) -> Sequence[bytes]:
        """F25."""
        size = self._faults.split_frames
        return (data,) if size is None else [data[at : at + size] for at in range(0, len(data), size)]

    def restarted(self) -> None:
        """F26: windows that open once in each session."""
        for name, swallow in self._faults.swallowed_orders.items():
            if swallow.each_session:
                del self._used[f"window {name}"]

    def window(self, symbol: str) -> Window | None:
        """F26."""
        windows = self._faults.swallowed_orders
        name = symbol if symbol in windows else ALL_SYMBOLS
        swallow = windows.get(name)
        if swallow is None or not self._take(f"window {name}", swallow.times):
            return None
        return Window(None if swallow.click_ms is None else float(swallow.click_ms) / 1000, swallow.drops_others)

    def refusal(self, order: Order) -> Refusal | None:
        """F12."""
        found = self._coded("rejections", self._faults.rejections, order.symbol)
        if found is None:
            return None
        if found.told and found.stays is None:
            return _refusal(found)
        return Lingering(found.code, found.text, found.told, found.stays == "listed", found.stays == "completed")

    def style_refusal(self, ticket: Ticket) -> Refusal | None:
        """F12."""
        if ticket.algo_strategy in self._faults.refused_styles:
            return Refusal(442, "Specified algorithm is not allowed for this order.")
        if ticket.order_type in self._faults.refused_styles:
            return Refusal(387, "Unsupported order type for this exchange and security type.")
        return None

    def notices(self, order: Order) -> Sequence[Refusal]:
        """F11."""
        del order
        numbered = enumerate(self._faults.order_notices)
        return [Refusal(c.code, c.text) for number, c in numbered if self._take(f"notice {number}", c.times)]

    def cancel_refusal(self, order: Order) -> Refusal | None:
        """F14."""
        found = self._coded("cancel_refusals", self._faults.cancel_refusals, order.symbol)
        return None if found is None else _refusal(found)

    def ignores_cancel(self, order: Order) -> bool:
        """F14."""
        return not self._faults.ignored_cancels.isdisjoint({order.symbol, ALL_SYMBOLS})

    def inactive_for_s(self, order: Order) -> float | None:
        """F22."""
        inactive = _for_symbol(self._faults.inactive, order.symbol)
        return float(inactive.for_ms) / 1000 if inactive else None

    def lag_s(self, part: Lagging) -> float:
        """F28."""
        return float(self._faults.lags_ms.get(part, ZERO)) / 1000

    def corrected(self, execution: Execution) -> Decimal | None:
        """F18."""
        step = HALF_PIP if execution.order.pair else CENT
        return execution.price + step if self._faults.corrected_executions else None

    def fill_rule(self, symbol: str, rule: Fills) -> Fills:
        """F13."""
        return _for_symbol(self._faults.fills, symbol) or rule

    def margins_late(self) -> bool:
        """F23."""
        return self._faults.what_if_late

    def quote(self, quote: Quote) -> Quote | None:
        """F15."""
        kind = _for_symbol(self._faults.quotes, quote.symbol)
        if kind is None or kind == "none":
            return None if kind else quote
        if kind == "crossed":
            return replace(quote, bid=quote.ask, ask=quote.bid)
        price = Decimal(-1) if kind == "minus_one" else ZERO
        return replace(quote, bid=price, ask=price, bid_size=0, ask_size=0)

    def halted(self, symbol: str) -> bool:
        """F15."""
        return not self._faults.halted.isdisjoint({symbol, ALL_SYMBOLS})

    def line(self, symbol: str) -> LineAnswer:
        """F15."""
        notice = _for_symbol(self._faults.market_data, symbol)
        if notice is None:
            return LineAnswer()
        kind = _DELAYED if notice.ticks == "delayed" else _LIVE
        return LineAnswer(Refusal(notice.code, notice.text), notice.ticks != "none", kind)

    def _coded(self, name: str, codes: Mapping[str, C], symbol: str) -> C | None:
        code = _for_symbol(codes, symbol)
        return code if code is not None and self._take(f"{name} {symbol}", code.times) else None

    def _take(self, name: str, times: int | None) -> bool:
        """Use a limited fault once, if it has any use left."""
        if times is not None and self._used[name] >= times:
            return False
        self._used[name] += 1
        return True


def _hidden(faults: Faults, message: Message) -> bool:
    symbol_at, key_at = _SYMBOL_AT.get(message[0]), _KEY_AT.get(message[0])
    if symbol_at is not None:
        return not faults.hidden_positions.isdisjoint({message[symbol_at], ALL_SYMBOLS})
    if key_at is not None:
        return str(message[key_at]).removeprefix(LEDGER_PREFIX) in faults.hidden_values
    return False


def _refusal(code: Code) -> Refusal:
    return Refusal(code.code, code.text)


def _for_symbol(by_symbol: Mapping[str, T], symbol: str) -> T | None:
    return by_symbol.get(symbol, by_symbol.get(ALL_SYMBOLS))
