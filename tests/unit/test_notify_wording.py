"""What people read: short, clear, and nothing that is nobody's business."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.notices import Notice, NoticeKind, Severity
from rebalancer.ledger.outbox import MOST
from rebalancer.logs.setup import redactor
from rebalancer.notify.letters import LONGEST_LINE, compose
from rebalancer.notify.privacy import LONGEST, Discretion
from rebalancer.notify.routing import REPORTS
from rebalancer.notify.style import Style
from rebalancer.notify.wording import describe

NOW = datetime(2026, 7, 1, 14, 0, tzinfo=UTC)
ID = UUID("12345678-1234-4234-8234-123456789012")
NAMES = {"DU1000001": "Alice"}
ERROR = "OrderRejected: 201: DU1000001 lacks 12,345.67 USD for BUY 194 SPY, cash is 5000.5 (attempt 3, 4.5 %)"
TRADES = [
    {"side": "SELL", "symbol": "TLT", "quantity": "12", "value": "1200.00", "share": "0.012"},
    {"side": "BUY", "symbol": "SPY", "quantity": "5", "value": "2500", "share": None},
]
DAY = {
    "equity": "100000",
    "drift": "0.012",
    "last_run": NOW.isoformat(),
    "next_run": None,
    "next_state": None,
    "orders": 0,
    "fills": 0,
    "traded": "0",
    "commissions": "0",
    "stuck": 0,
    "approvals": 0,
    "halted": False,
}
COSTS = {
    "orders": 3,
    "worth": "50000",
    "cost": "6.00",
    "delay": "2.00",
    "spread": "2.1",
    "impact": "-0.10",
    "commission": "2",
    "without_quote": 1,
    "incomplete": 0,
}
LETTER = {
    "period": "2026-06",
    "equity": "102000",
    "began": "100000",
    "gain": "1500",
    "flow": "500",
    "days": [["2026-06-01", "100000"], ["2026-06-30", "102000"]],
    "rebalances": 2,
    "orders": 3,
    "fills": 4,
    "traded": "50000",
    "trades": [{"symbol": "SPY", "side": "BUY", "quantity": "100.00", "value": "50000", "commission": "2"}],
    "costs": COSTS,
    "stuck": 0,
    "approvals": 1,
    "halted": False,
    "stranded": 0,
}
APPROVAL = {"reasons": ["BUY 194 SPY is 19400.00 USD, more than 9000"], "orders": 2, "turnover": "0.194"}
TOLD: list[tuple[NoticeKind, dict[str, Any], str, str]] = [
    (
        NoticeKind.SOURCE_REFUSED,
        {"strategy": "mine", "place": "example.org", "reason": "allocations_shrunk: 1 of 4", "acceptable": True},
        "targets not followed",
        "The table of mine (example.org) is not followed as it is now: allocations_shrunk: 1 of 4. If it is meant: "
        "`rebalancer sources accept mine`.",
    ),
    (
        NoticeKind.SOURCE_UNREAD,
        {"strategy": "mine", "place": "example.org", "reason": "HTTP 500"},
        "targets cannot be read",
        "The table of mine cannot be read: HTTP 500. It is tried again.",
    ),
    (
        NoticeKind.SOURCE_WELL,
        {"strategy": "mine"},
        "targets followed again",
        "The table of mine is read and followed again.",
    ),
    (
        NoticeKind.STATEMENT_DIFFERS,
        {"day": "2026-11-26", "reason": "cash: 5000.01 USD are stated, 5000.00 were expected", "halted": True},
        "STATEMENT AND LEDGER DIFFER",
        "The broker's statement of 2026-11-26 has what nothing explains: cash: … USD are stated, … were expected. "
        "Nothing new is sent until you have looked and resumed. `rebalancer statements` has all of it.",
    ),
    (
        NoticeKind.STATEMENT_UNREAD,
        {"query": "123456", "reason": "code 1012, Token has expired: make a new token"},
        "no statement",
        "The broker gives no statement of query 123456: code 1012, Token has expired: make a new token.",
    ),
    (
        NoticeKind.STATEMENT_WELL,
        {"query": "123456"},
        "statements again",
        "Statements of query 123456 are read again.",
    ),
    (
        NoticeKind.ATTENTION,
        {"command": "rebalance", "error": ERROR, "failures": 3},
        "needs attention",
        "rebalance needs you, it has failed 3 times in a row: OrderRejected: 201: Alice lacks … USD for BUY … SPY, "
        "cash is … (attempt 3, 4.5 %). It is still tried again, more slowly.",
    ),
    (
        NoticeKind.ATTENTION,
        {"command": "rebalance", "crashes": 3},
        "needs attention",
        "rebalance needs you, its worker was lost 3 times in a row. It is still tried again, more slowly.",
    ),
    (
        NoticeKind.RECOVERED,
        {"command": "rebalance", "failures": 4, "trades": []},
        "recovered",
        "rebalance has succeeded after all: nothing to trade.",
    ),
    (
        NoticeKind.RECOVERED,
        {"command": "print-equity", "failures": 4},
        "recovered",
        "print-equity has succeeded after all.",
    ),
    (
        NoticeKind.FAILING,
        {"command": "rebalance", "error": "GatewayUnavailable: away", "failures": 1},
        "failed, tried again",
        "rebalance failed and is tried again: GatewayUnavailable: away",
    ),
    (
        NoticeKind.REBALANCED,
        {"command": "rebalance", "failures": 0, "trades": TRADES},
        "rebalanced",
        "Rebalanced: sold TLT 1.2%; bought SPY.",
    ),
    (
        NoticeKind.REBALANCED,
        {"command": "rebalance", "failures": 2, "trades": []},
        "rebalanced",
        "Rebalanced after 2 failed tries: nothing to trade.",
    ),
    (
        NoticeKind.REBALANCED,
        {"command": "rebalance", "failures": 0, "trades": [], "frozen": ["b is taken as at the last rebalance: old"]},
        "rebalanced",
        "Rebalanced: nothing to trade. Note: b is taken as at the last rebalance: old.",
    ),
    (
        NoticeKind.CASH_FLOW,
        {"flow": "dividend", "amount": "512.5", "share": "0.0123"},
        "dividend",
        "Cash of 1.2% of equity has come in as dividends since the account was last looked at.",
    ),
    (
        NoticeKind.STRATEGY_HELD,
        {
            "hold": 7,
            "strategy": "blend",
            "canary": "DU1000001",
            "reasons": ["SPY filled 0.81 % worse"],
        },
        "blend is held",
        "The accounts that follow blend wait for you. Say so on the page, or with `rebalancer release 7` or "
        "`rebalancer withdraw 7`. Why: its canary Alice: SPY filled 0.81 % worse",
    ),
    (
        NoticeKind.STRATEGY_HELD,
        {"hold": 8, "strategy": "blend", "canary": None, "reasons": ["no quote"]},
        "blend is held",
        "The accounts that follow blend wait for you. Say so on the page, or with `rebalancer release 8` or "
        "`rebalancer withdraw 8`. Why: no quote",
    ),
    (
        NoticeKind.HELD,
        {"command": "rebalance", "reason": "market closed for SPY until 2026-07-02 13:31 UTC"},
        "waits",
        "rebalance waits: market closed for SPY until 2026-07-02 13:31 UTC",
    ),
    (
        NoticeKind.LEFT_ALONE,
        {"holdings": ["XLE: no usable two-sided quote"]},
        "holdings left alone",
        "They could not be traded, everything else was: XLE: no usable two-sided quote",
    ),
    (
        NoticeKind.CORPORATE_ACTION,
        {"changes": ["SPY: 100 shares became 200 shares: a split of 2 for 1"]},
        "holdings changed",
        "Nobody here has traded them, and they have changed: SPY: … shares became … shares: a split of … for …",
    ),
    (
        NoticeKind.APPROVAL,
        APPROVAL | {"silent_at": NOW.isoformat(), "expires_at": NOW.isoformat()},
        "approval needed",
        "A plan with 2 orders over 19.4% of equity goes ahead at Jul 1 10:00 EDT unless you reject it. Say so "
        f"on the page, or with `rebalancer approve {ID}` or `rebalancer reject {ID}`. "
        "Why you are asked: BUY … SPY is … USD, more than …",
    ),
    (
        NoticeKind.APPROVAL,
        APPROVAL | {"orders": 1, "silent_at": None, "expires_at": NOW.isoformat()},
        "approval needed",
        "A plan with 1 order over 19.4% of equity waits for you until Jul 1 10:00 EDT, then it is made anew. Say so "
        f"on the page, or with `rebalancer approve {ID}` or `rebalancer reject {ID}`. "
        "Why you are asked: BUY … SPY is … USD, more than …",
    ),
    (
        NoticeKind.REMOVED,
        {"command": "rebalance", "reason": "removed on the command line"},
        "removed",
        "rebalance was ended: removed on the command line",
    ),
    (
        NoticeKind.HALTED,
        {"by": "ann on the command line", "reason": "travelling"},
        "trading halted",
        "No order is sent any more, by ann on the command line: travelling. `rebalancer resume` lifts it.",
    ),
    (NoticeKind.RESUMED, {"by": "ann"}, "trading resumed", "The halt was lifted by ann."),
    (
        NoticeKind.UNACKNOWLEDGED,
        {"reason": "BUY 5 SPY: the gateway has said nothing of it"},
        "LOOK AT THE GATEWAY",
        "An order is not acknowledged, and trading is halted. BUY … SPY: the gateway has said nothing of it.",
    ),
    (
        NoticeKind.ACKNOWLEDGED,
        {},
        "order accounted for",
        "The order that was not acknowledged is accounted for; trading goes on.",
    ),
    (
        NoticeKind.LOSS,
        {"reason": "code 2148: URGENT"},
        "BROKER WARNS OF A LOSS",
        "No order is sent any more until you have looked: code 2148: URGENT. `rebalancer resume` lifts it.",
    ),
    (
        NoticeKind.OTHER_INSTALLATION,
        {"reason": "another installation trades DU1, then `rebalancer resume DU1`"},
        "ANOTHER INSTALLATION TRADES HERE",
        "No order is sent any more: another installation trades DU1, then `rebalancer resume DU1`.",
    ),
    (
        NoticeKind.LOGIN_ASKED,
        {"at": NOW.isoformat()},
        "APPROVE THE LOGIN NOW",
        "Since Jul 1 10:00 EDT the gateway waits for the second factor: approve it in IBKR Mobile. Nothing can be "
        "traded until then.",
    ),
    (
        NoticeKind.LOGIN_MISSED,
        {"at": NOW.isoformat()},
        "LOGIN NOT APPROVED",
        "Until Jul 1 10:00 EDT nobody gave the second factor: nothing is traded. Approve it in IBKR Mobile when the "
        "gateway asks again; if it does not, start it anew.",
    ),
    (
        NoticeKind.LOGIN_REFUSED,
        {"at": NOW.isoformat(), "line": "IBC: Login failed"},
        "LOGIN REFUSED",
        "IBKR does not take the gateway's login, nothing is traded: IBC: Login failed. Look at its screen.",
    ),
    (NoticeKind.LOGGED_IN, {"at": NOW.isoformat()}, "logged in", "The gateway's login is done since Jul 1 10:00 EDT."),
    (
        NoticeKind.LOGIN_DUE,
        {"restart": "23:40-00:20 America/New_York"},
        "weekly login due",
        "IBKR ends every login on Sunday at 01:00 New York time: when the gateway restarts next (23:40-00:20 "
        "America/New_York) it asks for the second factor. Keep your phone at hand; without your approval trading "
        "stops then.",
    ),
    (
        NoticeKind.DESUPPORTED,
        {"on": "2026-08-01", "text": "it will be desupported on 20260801."},
        "gateway ends on 2026-08-01",
        "IBKR takes no login of this build of the gateway any more from 2026-08-01 on: raise it before, see "
        "docs/deployment.md.",
    ),
    (
        NoticeKind.QUARANTINED,
        {"channel": "blend", "remark": "encoding 'x' is unknown"},
        "signal not understood",
        "A message on blend was not followed: encoding 'x' is unknown",
    ),
    (
        NoticeKind.DRY_RUN,
        {"channel": "blend", "command": "print-rebalance", "remark": "payload has no exec"},
        "signal not taken literally",
        "On blend: payload has no exec. It became print-rebalance.",
    ),
    (
        NoticeKind.MISSED,
        {"channel": "blend", "since": NOW.isoformat(), "until": (NOW + timedelta(hours=3)).isoformat()},
        "signals may be missing",
        "Signals of blend may have been missed between Jul 1 10:00 EDT and Jul 1 13:00 EDT; see /signals.",
    ),
    (
        NoticeKind.TROUBLE,
        {"problems": ["worker: was last seen 61 s ago; start `celery -A tasks worker`"]},
        "cannot trade now",
        "A signal could not be traded now: worker: was last seen 61 s ago; start `celery -A tasks worker`. "
        "`rebalancer doctor` says more.",
    ),
    (NoticeKind.WELL, {}, "ready again", "Signals can be traded again."),
    (NoticeKind.DIGEST, DAY, "", "Alice: drift 1.2%, last run Jul 1 10:00 EDT, no orders today"),
    (
        NoticeKind.LETTER,
        LETTER,
        "letter of June 2026",
        "Alice: gain +1.50%, came or went +0.50%, rebalances 2, trades 3 orders, 4 fills, 49.0% of equity, "
        "cost 1.2 bp of what was traded (delay 0.4, spread 0.4, impact 0.0, commission 0.4); "
        "1 order without a quote on record: left out, open WAITS FOR YOU: 1 plan",
    ),
    (
        NoticeKind.DIGEST,
        DAY | {"costs": COSTS},
        "",
        "Alice: drift 1.2%, last run Jul 1 10:00 EDT, no orders today, cost 1.2 bp of what was traded (delay 0.4, "
        "spread 0.4, impact 0.0, commission 0.4); 1 order without a quote on record: left out",
    ),
    (
        NoticeKind.DIGEST,
        DAY
        | {"drift": None, "last_run": None, "next_run": NOW.isoformat(), "halted": True, "approvals": 2, "stranded": 1},
        "",
        "Alice: drift unknown, last run never, next run Jul 1 10:00 EDT, no orders today, "
        "WAITS FOR YOU: 2 plans, WAITS FOR NOTHING: 1 event, HALTED",
    ),
]


def style(*, amounts: bool = False, names: dict[str, str] | None = None, secret: str = "") -> Style:
    known = NAMES if names is None else names
    return Style(Discretion(known, amounts, redactor({secret} - {""})), ZoneInfo("America/New_York"))


def notice(kind: NoticeKind, number: int = 1, account: str | None = "DU1000001", **detail: Any) -> Notice:
    return Notice(number, NOW, kind, account, ID, detail)


@pytest.mark.parametrize(("kind", "detail", "headline", "text"), TOLD, ids=[str(row[0]) for row in TOLD])
def test_each_fact_in_words(kind: NoticeKind, detail: dict[str, Any], headline: str, text: str) -> None:
    told = describe(notice(kind, **detail), style())
    assert (told.headline, told.text) == (headline, text)


def test_every_kind_has_its_words_here() -> None:
    assert {row[0] for row in TOLD} == set(NoticeKind)


def test_amounts_are_told_to_who_wants_them() -> None:
    open_handed = style(amounts=True)
    traded = describe(notice(NoticeKind.REBALANCED, command="rebalance", failures=0, trades=TRADES), open_handed)
    assert traded.text == "Rebalanced: sold 12 TLT for 1,200.00 USD (1.2%); bought 5 SPY for 2,500.00 USD."
    failed = describe(notice(NoticeKind.FAILING, command="rebalance", error=ERROR, failures=1), open_handed)
    assert "Alice lacks 12,345.67 USD for BUY 194 SPY" in failed.text


def test_styles_that_the_broker_refuses_are_named() -> None:
    told = describe(notice(NoticeKind.DIGEST, **DAY, styles_refused=["loc", "midprice"]), style()).text
    assert told.endswith("no orders today, order styles refused by the broker and sent plainly: loc, midprice")


def test_what_trading_cost_says_what_is_not_in_it() -> None:
    told = describe(notice(NoticeKind.DIGEST, **DAY, costs=COSTS | {"incomplete": 2}), style(amounts=True)).text
    assert told.endswith(
        "cost 6.00 USD, 1.2 bp of what was traded (delay 0.4, spread 0.4, impact 0.0, commission 0.4); "
        "1 order without a quote on record: left out; 2 orders without all executions or commissions: as far as known"
    )
    nothing = COSTS | {"orders": 0, "worth": "0", "cost": "0"}
    assert describe(notice(NoticeKind.DIGEST, **DAY, costs=nothing), style()).text.endswith(
        "no cost can be told; 1 order without a quote on record: left out"
    )


@given(
    st.sampled_from(
        ["lacks {} USD", "cash is {}", "BUY {} SPY at market", "${} too much", "from {} to more", "SPY is {} instead"]
    ),
    st.decimals(min_value=10, max_value=10**9, places=2),
    st.sampled_from(["{:,.2f}", "{:.2f}", "{:.0f}", "{:,.0f}", "-{:f}"]),
)
def test_no_amount_of_an_error_is_told(sentence: str, amount: Any, form: str) -> None:
    written = form.format(amount)
    told = style().discretion.safe(sentence.format(written))
    assert not re.search(r"\d", told), told


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:4002 is away (code 502)",
        "201: refused",
        "last heard 2026-07-01 14:00:05 UTC, 3.5 s ago, in 2 of 7 accounts",
        "status 503, 4.5 % of equity, 3 orders, attempt 2",
        "etf-blend-301-20 of 2026-07",
    ],
)
def test_codes_times_and_counts_stay(text: str) -> None:
    assert style().discretion.safe(text) == text


def test_ids_of_accounts_become_names() -> None:
    told = style().discretion.safe("DU1000001 and U7654321 and DF12345X")
    assert told == "Alice and …4321 and DF12345X"


def test_secrets_and_length_are_bounded() -> None:
    told = style(secret="hunter2-key").discretion.safe("a hunter2-key\nb " + "x" * 1000)
    assert told.startswith("a *** b ")
    assert len(told) == LONGEST


@given(st.lists(st.sampled_from([row[:2] for row in TOLD if row[0] not in REPORTS]), min_size=1, max_size=MOST))
def test_a_letter_has_every_fact_once_in_order_and_leads_with_the_gravest(facts: list[tuple[NoticeKind, Any]]) -> None:
    notices = [notice(kind, number, **detail) for number, (kind, detail) in enumerate(facts, start=1)]
    letter = compose(notices, style(), NOW)
    lines = letter.body.splitlines()
    texts = [describe(one, style()).text for one in notices]
    stamp = "" if len(notices) == 1 else "Jul 1 10:00  "
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        assert line == stamp + text or (line[:-1] == (stamp + text)[: LONGEST_LINE - 1] and line[-1] == "…")
    assert letter.severity is max((one.severity for one in notices), key=lambda severity: severity.rank)
    assert letter.title.startswith("Alice: ")
    assert letter.title.endswith(f", and {len(notices) - 1} more") == (len(notices) > 1)
    assert len(letter.body.encode()) <= 4096


def test_bad_news_leads_before_good_news_of_the_same_severity() -> None:
    facts = [
        notice(NoticeKind.ATTENTION, 1, command="rebalance", crashes=3),
        notice(NoticeKind.RECOVERED, 2, command="rebalance"),
    ]
    assert compose(facts, style(), NOW).title == "Alice: needs attention, and 1 more"
    assert compose(facts[1:], style(), NOW).good


def test_a_late_message_says_when_it_happened() -> None:
    letter = compose([notice(NoticeKind.WELL, account=None)], style(), NOW + timedelta(hours=1))
    assert (letter.title, letter.body) == ("Rebalancer: ready again", "Jul 1 10:00  Signals can be traded again.")
    assert letter.severity is Severity.ERROR
