"""What each message code of the TWS API means for an unattended rebalancer: one table, one function.

Sources, by mark: ``S`` read in ib_async or another public client; ``D`` IBKR's documentation
(https://ibkrcampus.com/campus/ibkr-api-page/twsapi-doc/#api-error-codes); ``I`` public issues of other programs;
``P`` practitioners' knowledge without a document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

NOT_DEFINED = 200
OUTDATED = frozenset({NOT_DEFINED, 355, 388})
"""Refusals of an order that contradict the contract definition that it was made from."""


class Action(StrEnum):
    """What a code asks of us; one code may ask for several things."""

    IGNORE = "ignore"
    RETRY = "retry"
    PERMANENT = "permanent"
    ALERT = "alert"
    RECONCILE = "reconcile"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class CodeClass:
    """One code of the broker and what to do about it.

    Attributes:
        actions: ``PERMANENT`` refers to this order or request only. ``RECONCILE`` means that the code alone says
            nothing certain of the order: ask for open orders, completed orders and executions. ``HALT``: it announces
            a loss; nothing more is sent for the account until a person has looked.
        source: mark of the module's docstring.
        known: ``False`` for a code that the table does not hold.
    """

    code: int
    meaning: str
    actions: frozenset[Action]
    source: str
    known: bool = True

    @property
    def permanent(self) -> bool:
        """The order or request was refused for good."""
        return Action.PERMANENT in self.actions

    @property
    def harmless(self) -> bool:
        """Nothing but a remark: the order or request goes on."""
        return self.actions == {Action.IGNORE}

    @property
    def alert(self) -> bool:
        """A person should look."""
        return Action.ALERT in self.actions

    @property
    def reconcile(self) -> bool:
        """Only the broker's own lists can tell what happened."""
        return Action.RECONCILE in self.actions


_LETTERS = {
    "I": Action.IGNORE,
    "R": Action.RETRY,
    "P": Action.PERMANENT,
    "A": Action.ALERT,
    "C": Action.RECONCILE,
    "H": Action.HALT,
}

_ROWS: tuple[tuple[tuple[int, ...], str, str, str], ...] = (
    ((0,), "I", "S", "approaching 50 messages per second, which our own pace prevents"),
    ((100,), "CR", "D", "message rate exceeded; the request was dropped"),
    ((101,), "RA", "D", "too many market-data lines"),
    ((102,), "PA", "D", "duplicate ticker id"),
    ((103,), "PC", "D", "duplicate order id"),
    ((104,), "C", "D", "a filled order cannot be modified"),
    ((105,), "P", "D", "the modification does not match the original order"),
    ((106, 107), "PA", "D", "the order cannot be transmitted or is incomplete"),
    ((109,), "PA", "D", "price outside the percentage set in the presets"),
    ((110,), "P", "D", "price does not conform to the minimum price variation"),
    ((111,), "P", "D", "time in force does not fit the order type"),
    ((135,), "C", "D", "no order with that id"),
    ((136,), "C", "D", "the order cannot be cancelled"),
    ((145,), "P", "I", "an entry field has a value that is none of its own, e.g. of an algorithm"),
    ((161,), "C", "D", "cancel attempted when the order is not cancellable, usually because it has just filled"),
    ((162,), "R", "D", "historical data service error"),
    ((165,), "I", "D", "historical data service query message"),
    ((NOT_DEFINED,), "P", "I", "no or ambiguous security definition; also sent while the definitions farm is down"),
    ((201,), "PA", "D", "order rejected; the text says why"),
    ((202,), "PC", "D", "order cancelled, by us, by IBKR or at the day's end; fills before it count"),
    ((203, 460), "PA", "D", "not allowed or no trading permission for this security"),
    ((300,), "I", "D", "unknown ticker id"),
    ((309, 317), "I", "D", "market depth limit or reset"),
    ((320, 321), "PA", "S", "the request cannot be read or is invalid; also a read-only API"),
    ((322,), "R", "D", "server error while processing the request"),
    ((326,), "R", "S", "client id already in use"),
    ((329,), "P", "D", "order modification failed"),
    ((354, 10186), "RA", "I", "market data is not subscribed"),
    ((355, 388), "P", "D", "the quantity does not conform to the market rule, or is below the smallest order"),
    ((366,), "I", "D", "no historical query with that id"),
    ((382, 383, 451), "PA", "I", "size or value above the precautionary settings of the gateway"),
    ((387,), "P", "I", "order type not supported for this exchange and security type"),
    ((391, 10314), "P", "I", "a date, time or time zone of the order cannot be read"),
    ((396, 397), "P", "D", "only market and limit orders are taken for this contract at present"),
    ((399,), "I", "D", "order message, e.g. held until the exchange opens"),
    ((400,), "P", "D", "the algorithm that is to work the order objects"),
    ((404,), "CA", "D", "held until shares to sell short are located: our quantity was wrong"),
    ((412, 435), "P", "D", "contract not tradable, or an account must be named"),
    ((434,), "P", "S", "order size is zero"),
    ((439, 442), "P", "I", "the algorithm that is to work the order is unknown or not allowed for it"),
    ((440,), "P", "D", "the algorithm of a working order cannot be changed"),
    ((441, 443), "P", "I", "a parameter of the order's algorithm is unknown or has a value that is not allowed"),
    ((492,), "I", "S", "market data remark"),
    ((501, 502, 504, 507, 509), "R", "S", "client side: not connected or the socket failed"),
    ((503, 505, 506), "PA", "S", "unknown request or unsupported version"),
    ((1100,), "AC", "D", "connectivity between gateway and IBKR lost"),
    ((1101,), "C", "D", "connectivity restored, subscriptions lost"),
    ((1102,), "C", "I", "connectivity restored, subscriptions kept; fills may have been missed all the same"),
    ((1300,), "RA", "D", "the gateway's socket port was changed"),
    ((2100, 2101), "I", "D", "account updates unsubscribed or taken by another client"),
    ((2102,), "R", "D", "the order is still being processed"),
    ((2103, 2105, 2157), "R", "D", "data farm broken: market data, history, security definitions"),
    ((2104, 2106, 2158), "I", "D", "data farm is OK"),
    ((2107, 2108, 2119), "I", "D", "data farm inactive until needed, or connecting"),
    ((2109,), "I", "D", "outside-regular-hours is ignored for this order type"),
    ((2110,), "AC", "D", "connectivity between gateway and server is broken and will be restored"),
    ((2137,), "HAC", "D", "cross side: the order would turn a long position short, so our quantity is wrong"),
    ((2148,), "HA", "I", "margin: equity is close to what is required or below it, positions may be liquidated"),
    ((2150,), "I", "I", "no profit or loss can be derived for a position, for lack of a price"),
    ((10089,), "RA", "I", "market data needs a further subscription; delayed data exist"),
    ((10090, 10091), "I", "I", "part of the market data is not subscribed; the other ticks keep coming"),
    ((10147,), "C", "I", "the order to cancel was not found"),
    ((10148,), "C", "I", "the order to cancel cannot be cancelled in its state"),
    ((10149,), "PC", "S", "invalid order id, perhaps of a cancel"),
    ((10167,), "I", "D", "not subscribed, delayed data are sent instead"),
    ((10168,), "RA", "I", "not subscribed and delayed data are not enabled"),
    ((10182,), "R", "D", "live updates failed: subscribe again"),
    ((10197,), "RA", "I", "no market data while the same user is logged in elsewhere"),
    ((10243,), "P", "P", "fractional size cannot be traded over the API"),
    ((10311,), "PA", "D", "direct routing precaution: exchange SMART is required"),
    ((10349,), "I", "I", "time in force was set by the preset; the order is live"),
)


def _table() -> dict[int, CodeClass]:
    return {
        code: CodeClass(code, meaning, frozenset(_LETTERS[letter] for letter in letters), source)
        for codes, letters, source, meaning in _ROWS
        for code in codes
    }


CODES: dict[int, CodeClass] = _table()
"""Every code that the program knows, by number; documentation is generated from it."""

_WARNINGS = range(2100, 2200)
_LOSS = re.compile(r"liquidat|margin (call|deficien|violation)|non-compliant", re.IGNORECASE)


def classify(code: int) -> CodeClass:
    """What to do about a code, whether the table knows it or not.

    Returns:
        Unknown codes 2100-2199 are warnings by IBKR's convention; any other unknown code asks for reconciliation and
        a person's attention, since live orders have been declared dead by informational codes (10349).
    """
    known = CODES.get(code)
    if known is not None:
        return known
    if code in _WARNINGS:
        return CodeClass(code, "warning", frozenset({Action.IGNORE}), "D", known=False)
    return CodeClass(code, "unknown code", frozenset({Action.RECONCILE, Action.ALERT}), "-", known=False)


def announces_loss(code: int, text: str) -> bool:
    """Whether a code says that an account may lose by force, or is about to be short: by its number, or by the text of
    a warning or of a code that nobody knows. A refused order that explains the margin announces nothing.
    """
    known = classify(code)
    if Action.HALT in known.actions:
        return True
    return (code in _WARNINGS or not known.known) and _LOSS.search(text) is not None
