"""Writes docs/faults.md from the code: ``python -m tests.tools.faults_table``.

The codes are those of :mod:`rebalancer.ibkr.codes`, the faults those that the sandbox injects; the tests beside each
fault are found by their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rebalancer.ibkr.codes import CODES, Action, CodeClass

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "faults.md"
TESTS = ROOT / "tests" / "integration" / "survival"
_TEST = re.compile(r"^def test_f(\d\d)_(\w+)\(", re.MULTILINE)

HEAD = """# Faults and codes

What can go wrong between the program and Interactive Brokers, what the program does then, and what a person sees.
Written by `python -m tests.tools.faults_table` from the code; a test fails when it is out of date.

Three rules stand behind every line. An order's intent is on record before it is sent. "No answer" is never taken for
"no": before anything is sent again, the broker's open orders, completed orders and executions are searched for our
order ref. And a run that ends without success is tried again for as long as it takes, from what the account really
holds.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the catalogue that the sandbox can inject."""

    number: int
    what: str
    does: str
    sees: str


RETRIED = "`retrying`, with the reason"
NOTHING = "nothing but the log; the run succeeds"
ATTENTION = "`retrying` with code and text, after a few tries *needs attention*"

FAULTS = (
    Fault(1, "client id in use (326)", "stops at once, keeps the id for some tries, then takes another", RETRIED),
    Fault(
        2, "the gateway accepts and says nothing", "gives up after `IB_CONNECT_TIMEOUT_S`; nothing was sent", RETRIED
    ),
    Fault(3, "a 33rd client (502)", "stops at once; nothing was sent", RETRIED),
    Fault(
        4,
        "a question is never answered",
        "drops the connection; before the first order the run ends, after it nothing is sent until the lists have come",
        RETRIED,
    ),
    Fault(
        5,
        "connection reset before or after an order reached the book",
        "reconnects, finds out by order ref, plans what is missing, all in the same run",
        NOTHING,
    ),
    Fault(6, "frozen gateway", "an unanswered heartbeat ends the connection; then as F5", NOTHING),
    Fault(
        7,
        "IBKR lost behind the gateway (1100, then 1101 or 1102)",
        "sends no new order; afterwards looks up what was missed, whatever the code promises",
        "`retrying` if nothing was under way, else nothing but the log",
    ),
    Fault(
        8,
        "nightly restart, order ids rolled back, client id sticking",
        "waits up to `RECONNECT_TIMEOUT_S`, never reuses an order id; in `RESTART_WINDOW` sends nothing",
        "nothing but the log; in the window `held` until its end",
    ),
    Fault(9, "no order status at all", "fills alone complete an order", NOTHING),
    Fault(
        10,
        "reports doubled, late or out of order; commission late or missing",
        "counts each execution once; asks once more for missing commissions, and again at the next run",
        "a fill without commission until it is known",
    ),
    Fault(11, "remarks about live orders", "records them, never takes one for an end", "the code beside the order"),
    Fault(
        12,
        "an order is rejected",
        "lets the others complete, buys only from real proceeds, does not send it again in this run; one that stays "
        "listed as Inactive is cancelled, and its symbol left alone as long as it is listed",
        ATTENTION,
    ),
    Fault(
        13,
        "partial, slow or no fills; prices that move away",
        "after `ORDER_TIMEOUT_S` cancels, verifies, counts the fills and plans the rest anew, `ORDER_ROUNDS` times",
        "the plan's further rounds; `retrying` if it stays unfilled",
    ),
    Fault(
        14,
        "a cancel is refused (161, 10147, 10148), unanswered, or loses against a fill",
        "believes only the list of open orders and the executions; one that was refused for good and stays Inactive "
        "is waited for no longer than `ORDER_ACK_TIMEOUT_S`",
        "`retrying` if an order is still open after `CANCEL_TIMEOUT_S`",
    ),
    Fault(
        15,
        "no, delayed, crossed or negative quotes",
        "stops before the first order, naming each symbol and what it had instead",
        RETRIED,
    ),
    Fault(
        16,
        "message rate exceeded (100)",
        "paces itself below it; an order that was dropped is planned again, the first of a session is held as in F26",
        NOTHING,
    ),
    Fault(
        17,
        "positions and cash lag behind fills",
        "plans nothing until they show every fill of the last minutes, at most `BOOKS_TIMEOUT_S`",
        "nothing but the log, or `retrying` naming what is not shown",
    ),
    Fault(18, "an execution is corrected", "the correction replaces it", "the corrected price"),
    Fault(
        19,
        "orders of other clients, by hand, of other accounts",
        "cancels those of this account as their owner, leaves others' alone; an owner that is connected stops the run, "
        "and leaves its id where it is an idle process of ours",
        "the cancelled orders in the result, or `retrying` naming the client id",
    ),
    Fault(20, "many accounts under one login", "keeps them apart by account, client id and order ref", NOTHING),
    Fault(21, "closed market", "sends nothing that could fill at the open", "`held` until the open, or `retrying`"),
    Fault(22, "Inactive, then active again", "follows the order; cancels it when its time is up", NOTHING),
    Fault(23, "a what-if without margins, or without answer", "waits shortly and goes on", NOTHING),
    Fault(
        24,
        "cash account: cushion for market orders, settled cash only",
        "sends what lacks its cushion with a limit, in one wave with the others as far as the funds allow; in an IRA "
        "without margin buys with settled cash only",
        "`held` until the proceeds have settled",
    ),
    Fault(25, "frames in pieces, unreadable messages", "reads on; asks again for what could not be read", NOTHING),
    Fault(
        26,
        "a window in the gateway swallows an order: no status, no error, until somebody clicks or it restarts",
        "sends nothing more, cancels it by number, halts the account after `ORDER_ACK_TIMEOUT_S`; goes on when it is "
        "listed or refused, the gateway was seen to restart, or a person resumes; the first order of a session travels "
        "alone",
        "the order as `Unacknowledged`, `held`, and a notification: look at the gateway's screen",
    ),
    Fault(
        27,
        "a fill is stated, but its execution is missing, partial or unreadable",
        "counts the highest quantity that a status, a list or an execution states; plans nothing until the books show "
        "it, at most five minutes; asks for the execution again at each run of the day",
        "the order filled, with the remark `198 filled, execution of 198 not told` and no price until it is told",
    ),
    Fault(
        28,
        "account values that lag, are incomplete, or are spelt otherwise",
        "asks again until `AccountReady` is true, at most `BOOKS_TIMEOUT_S`; reads both spellings of the keys of one "
        "currency; without the row of dollars, nothing counts as dollars",
        "`retrying`: `account_not_ready`, soon again; `cash_missing`, `settled_cash_missing` *needs attention*",
    ),
    Fault(
        29,
        "one ticker of several contracts, listings elsewhere, contract ids that change, names of cash, steps by price",
        "trades the held or the only US listing by its contract id, drops a definition at code 200, leaves alone what "
        "is another contract, never takes CASH for a stock, sets limits by the market rule",
        "the symbol and its contracts, in the notes or as `symbol_unknown`, `allocations_cash_symbol`",
    ),
    Fault(
        30,
        "the gateway's clock or zone is another",
        "reads times in the gateway's own zone and checks them against their arrival; holds live runs while the clocks "
        "differ by more than `CLOCK_TOLERANCE_S`",
        "`held` for a minute at a time: `clock_apart`, with both times",
    ),
)


def document() -> str:
    """The whole file."""
    return "\n".join([HEAD, *_faults(), "", *_codes(), ""])


def proofs_by_fault() -> dict[int, list[str]]:
    """Names of the tests of each fault, without their common beginning."""
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for number, name in _TEST.findall(path.read_text(encoding="utf-8")):
            found.setdefault(int(number), []).append(name.replace("_", " "))
    return found


def _faults() -> Iterator[str]:
    tests = proofs_by_fault()
    yield "## Faults\n"
    yield "The sandbox injects each ([sandbox.md](sandbox.md)); the tests are in `tests/integration/survival`.\n"
    yield "| fault | what happens | what the program does | what a person sees | proven by |"
    yield "|---|---|---|---|---|"
    for fault in FAULTS:
        proofs = "<br>".join(tests.get(fault.number, ()))
        yield f"| F{fault.number} | {fault.what} | {fault.does} | {fault.sees} | {proofs} |"


def _codes() -> Iterator[str]:
    yield "## Codes of the TWS API\n"
    yield "Sources: S a public client's code, D IBKR's documentation, I issues of other programs, P practitioners."
    yield "An unknown code is looked into like one that proves nothing; unknown codes 2100 to 2199 are remarks, but any"
    yield "warning or unknown code whose text speaks of liquidation or a margin call halts like 2148.\n"
    yield "| code | meaning | what the program does | what a person sees | source |"
    yield "|---|---|---|---|---|"
    for code, known in sorted(CODES.items()):
        yield f"| {code} | {known.meaning} | {_does(known)} | {_sees(known)} | {known.source} |"


def _does(code: CodeClass) -> str:
    if code.harmless:
        return "goes on"
    if Action.HALT in code.actions:
        return "halts the order's account, the one named in the text, or all of the login: nothing more is sent there"
    if code.permanent and code.reconcile:
        return "takes the order for ended, counts its fills, plans the rest again"
    if code.permanent:
        return "takes the order or request for refused; the other orders complete"
    if code.reconcile:
        return "asks for open orders, completed orders and executions before anything else"
    return "stops what needed it; the run is tried again"


def _sees(code: CodeClass) -> str:
    if code.harmless:
        return "a line in the log"
    if Action.HALT in code.actions:
        return "a notification and a halt with the text, until `rebalancer resume`; an error in the log"
    if code.permanent and not code.reconcile:
        return "the event's error with code and text, *needs attention*" + _alert(code)
    if Action.RETRY in code.actions:
        return "the event is retrying, with the reason" + _alert(code)
    return "the code beside the order" + _alert(code)


def _alert(code: CodeClass) -> str:
    return "; an error in the log" if code.alert else ""


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
