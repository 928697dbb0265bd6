"""The weekly and the monthly letter: written once, complete, and as PDF where it can travel along."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage

import pytest
from sqlalchemy import text, update

from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.domain.periods import Period
from rebalancer.ledger import outbox
from rebalancer.ledger.models import FillRow
from rebalancer.ledger.queries.letters import account_letter
from rebalancer.ledger.session import Ledger
from rebalancer.notifier.letters import LetterWriter
from rebalancer.notifier.watch import TradingWatch
from tests.integration.ledger.test_costs import traded
from tests.integration.ledger.test_money import look
from tests.integration.notify.conftest import ServicesWith, Start
from tests.integration.notify.ntfy import NtfyServer
from tests.integration.notify.smtp import MailServer, serving_mail
from tests.ledger_rows import add_waiting
from tests.world import until

MARCH = Period.named("2026-03")
FIRST_OF_APRIL = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
"""08:00 in New York."""
ANN, BEN = "DU1000001", "DU1000002"
MONTHLY = {"letter_monthly": "08:00"}


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serving_mail() as server:
        yield server


@pytest.fixture
def month(ledger: Ledger) -> None:
    """Ann had 100,000, deposited 5,000, traded and has 107,000 at the end; Ben was looked at, and a plan waits."""
    with ledger.begin() as session:
        look(session, datetime(2026, 2, 26, 15, tzinfo=UTC), 100_000, 90_000)
        traded(session, at=datetime(2026, 3, 2, 17, tzinfo=UTC))
        session.execute(text("UPDATE account_snapshots SET flow = NULL"))
        look(session, datetime(2026, 3, 10, 15, tzinfo=UTC), 101_000, 40_599, SPY=594)
        look(session, datetime(2026, 3, 11, 15, tzinfo=UTC), 106_500, 45_599, SPY=594)
        look(session, datetime(2026, 3, 31, 15, tzinfo=UTC), 107_000, 45_599, SPY=594)
        look(session, datetime(2026, 4, 1, 9, tzinfo=UTC), 50_000, 45_599, SPY=594)
        look(session, datetime(2026, 3, 5, 15, tzinfo=UTC), 20_000, 10_000, BEN)
        add_waiting(session, BEN, at=datetime(2026, 3, 6, tzinfo=UTC))


def letters(ledger: Ledger) -> list[Notice]:
    with ledger.begin() as session:
        found = [one.notice for one in outbox.recent(session, 100)]
    return [notice for notice in found[::-1] if notice.kind is NoticeKind.LETTER]


@pytest.mark.usefixtures("month")
def test_a_letter_says_what_the_ledger_has_of_its_month_and_nothing_else(ledger: Ledger) -> None:
    with ledger.begin() as session:
        told = account_letter(session, ANN, MARCH)
        value = session.scalar(text("SELECT sum(quantity * price) FROM fills"))
        before = account_letter(session, ANN, Period.named("2026-01"))
        quiet = account_letter(session, ANN, Period.named("2026-02-27"))
    assert told is not None
    assert (Decimal(told["began"]), Decimal(told["equity"])) == (100_000, 107_000)
    assert Decimal(told["flow"]) == 5_000
    assert Decimal(told["gain"]) == 107_000 - 100_000 - 5_000
    assert [day for day, _ in told["days"]] == ["2026-03-02", "2026-03-10", "2026-03-11", "2026-03-31"]
    assert (told["rebalances"], told["orders"], told["fills"]) == (1, 2, 4)
    assert Decimal(told["traded"]) == value == sum(Decimal(one["value"]) for one in told["trades"])
    assert [(one["symbol"], one["side"], one["quantity"]) for one in told["trades"]] == [
        ("MSFT", "SELL", "138"),
        ("SPY", "BUY", "194"),
    ]
    assert Decimal(told["costs"]["cost"]) == 194 * Decimal("0.02") + 138 * Decimal("0.04") + 2
    assert before is None
    assert quiet is not None
    assert (Decimal(quiet["gain"]), quiet["orders"], [day for day, _ in quiet["days"]]) == (0, 2, ["2026-03-02"])
    assert json.loads(json.dumps(told)) == told


@pytest.mark.usefixtures("month")
def test_an_account_that_is_new_gains_from_its_first_look_on(ledger: Ledger) -> None:
    with ledger.begin() as session:
        told = account_letter(session, BEN, MARCH)
    assert told is not None
    assert [Decimal(told[name]) for name in ("began", "equity", "gain", "flow")] == [20_000, 20_000, 0, 0]
    assert told["approvals"] == 1


@pytest.mark.usefixtures("month")
def test_a_letter_is_written_once_whoever_restarts_and_one_that_is_missing_is_added(
    services: ServicesWith, ledger: Ledger
) -> None:
    here = services(**MONTHLY)
    LetterWriter(here).write(FIRST_OF_APRIL - timedelta(minutes=1))
    assert letters(ledger) == []
    for _ in range(2):
        writer = LetterWriter(here)
        for hour in range(2):
            writer.write(FIRST_OF_APRIL + timedelta(hours=hour))
    assert sorted(str(one.account_id) for one in letters(ledger)) == [ANN, BEN]
    with ledger.begin() as session:
        session.execute(text("DELETE FROM notices WHERE account_id = :ann"), {"ann": ANN})
    LetterWriter(here).write(FIRST_OF_APRIL + timedelta(days=2))
    assert [one.account_id for one in letters(ledger)] == [BEN, ANN]
    LetterWriter(here).write(FIRST_OF_APRIL + timedelta(days=3))
    assert len(letters(ledger)) == 2


@pytest.mark.usefixtures("month")
def test_four_that_write_at_once_write_one(services: ServicesWith, ledger: Ledger) -> None:
    here = services(**MONTHLY)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: LetterWriter(here).write(FIRST_OF_APRIL), range(4)))
    assert sorted(str(one.account_id) for one in letters(ledger)) == [ANN, BEN]


@pytest.mark.usefixtures("month")
def test_off_there_is_none_and_a_wrong_accounts_file_delays_it(services: ServicesWith, ledger: Ledger) -> None:
    LetterWriter(services()).write(FIRST_OF_APRIL)
    TradingWatch(services()).look()
    assert letters(ledger) == []
    here = services(**MONTHLY)
    right = here.settings.files.accounts_file.read_text()
    here.settings.files.accounts_file.write_text("accounts: 5\n")
    writer = LetterWriter(here)
    writer.write(FIRST_OF_APRIL)
    assert letters(ledger) == []
    here.settings.files.accounts_file.write_text(right)
    writer.write(FIRST_OF_APRIL)
    assert len(letters(ledger)) == 2


def pages(message: EmailMessage) -> str:
    """The words of the PDF that came along."""
    (attached,) = message.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", "letter-2026-03.pdf")
    content = attached.get_content()
    assert content.startswith(b"%PDF-")
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    drawn = b"\n".join(zlib.decompress(base64.a85decode(stream.strip(), adobe=False)) for stream in map(ends, streams))
    return " ".join(re.findall(r"\((.*?)(?<!\\)\) Tj", drawn.decode("latin-1")))


def ends(stream: bytes) -> bytes:
    return stream.strip().removesuffix(b"~>")


@pytest.mark.usefixtures("month")
@pytest.mark.parametrize("amounts", [False, True])
def test_by_mail_it_is_a_message_with_all_accounts_and_a_pdf(
    services: ServicesWith, start: Start, ntfy: NtfyServer, mail: MailServer, amounts: bool
) -> None:
    here = services(
        notify_urls=f"phone={ntfy.url} mail={mail.url}",
        notify_amounts=amounts,
        notify_severity="error",
        notify_approval_links="https://desk.example.org/",
        **MONTHLY,
    )
    LetterWriter(here).write(FIRST_OF_APRIL)
    start(here)
    until(lambda: bool(ntfy.messages and mail.messages))
    (message,) = mail.messages
    assert message["Subject"] == ntfy.titles[0] == "Letter of March 2026"
    body = message.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert lines[-1] == "All of it as PDF: https://desk.example.org/letters/2026-03.pdf"
    told = dict(line.split(": ", 1) for line in lines[:-1])
    assert told.keys() == {"Alice", "…0002"}
    assert "open WAITS FOR YOU: 1 plan" in told["…0002"]
    assert ("gain +2,000.00 USD (+2.00%)" if amounts else "gain +2.00%") in told["Alice"]
    assert ("2 orders, 4 fills, 76,772.68 USD, 71.8% of equity") in told["Alice"] or not amounts
    assert ("USD" in body.get_content()) is amounts
    drawn = pages(message)
    assert {word for word in ("Alice", "Equity by day", "spread", "sell MSFT") if word not in drawn} == set()
    assert ("11.40" in drawn) is amounts
    assert "DU10000" not in drawn + body.get_content()
    assert ntfy.messages[0]["message"].splitlines() == lines


def test_a_phone_gets_no_attachment(
    services: ServicesWith, start: Start, ledger: Ledger, ntfy: NtfyServer, month: None
) -> None:
    here = services(**MONTHLY)
    with ledger.begin() as session:
        session.execute(update(FillRow).values(commission=None))
    LetterWriter(here).write(FIRST_OF_APRIL)
    start(here)
    until(lambda: bool(ntfy.messages))
    assert "attachment" not in ntfy.messages[0]
    *_, last = ntfy.messages[0]["message"].splitlines()
    assert last == "All of it as PDF: `rebalancer letter --month 2026-03 --pdf FILE`"
    assert "2 orders without all executions or commissions: as far as known" in ntfy.messages[0]["message"]
