"""Letters: about which days, when they are due, and what they say with and without amounts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from unicodedata import normalize
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.config.settings import Settings
from rebalancer.domain.periods import Period
from rebalancer.notify.letter_pdf import Font, pdf
from rebalancer.notify.letter_sections import section
from rebalancer.notify.privacy import Discretion
from rebalancer.notify.timing import LATEST_LETTER, due_month, due_week
from tests.unit.test_notify_wording import COSTS, LETTER

NEW_YORK, TOKYO = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")
NAMES = {"DU1000001": "Alice & <Bob>"}


@pytest.mark.parametrize(
    ("name", "first", "end", "said"),
    [
        ("2026-10", date(2026, 10, 1), date(2026, 11, 1), "October 2026"),
        ("2027-02", date(2027, 2, 1), date(2027, 3, 1), "February 2027"),
        ("2026-12-29", date(2026, 12, 29), date(2027, 1, 5), "December 29 to January 4, 2027"),
    ],
)
def test_a_period_has_its_name_and_days(name: str, first: date, end: date, said: str) -> None:
    found = Period.named(name)
    assert (found.name, found.first, found.end, str(found)) == (name, first, end, said)
    assert found.ends_at - found.begins_at == end - first


@given(st.dates(date(2000, 1, 1), date(2900, 1, 1)))
def test_each_day_is_in_its_month_and_every_period_is_found_by_its_name(day: date) -> None:
    month, week = Period.month(day), Period.week(day)
    assert month.first <= day < month.end
    assert month.end.day == month.first.day == 1
    assert (Period.named(month.name), Period.named(week.name)) == (month, week)
    assert (month.kind, week.kind) == ("month", "week")


@pytest.mark.parametrize("name", ["", "2026", "2026-13", "2026-02-30", "26-10", "2026-10-1", "2026-10-26 ", "٢٠٢٦-10"])
def test_what_is_no_period_is_refused_with_what_would_be(name: str) -> None:
    with pytest.raises(ValueError, match="neither a month as in 2026-10 nor the first day of a week as in 2026-10-26"):
        Period.named(name)


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-11-01T11:59", NEW_YORK, None),
        ("2026-11-01T13:00", NEW_YORK, "2026-10"),  # 08:00 after the clocks were set back
        ("2026-11-04T23:00", NEW_YORK, "2026-10"),
        ("2026-11-05T12:59", NEW_YORK, None),
        ("2026-10-31T23:30", TOKYO, None),  # past eight in the morning there, and October has not ended by UTC
        ("2026-11-01T00:00", TOKYO, "2026-10"),
    ],
)
def test_the_month_is_told_on_the_first_of_the_next_or_some_days_late(
    now: str, zone: ZoneInfo, expected: str | None
) -> None:
    found = due_month(datetime.fromisoformat(now).replace(tzinfo=UTC), time(8), zone)
    assert (found and found.name) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [("2026-11-28T12:59", None), ("2026-11-28T13:00", "2026-11-21"), ("2026-12-01T23:59", "2026-11-21")],
)
def test_the_week_is_told_on_its_day(now: str, expected: str | None) -> None:
    saturday = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = due_week(saturday, 5, time(8), NEW_YORK)
    assert (found and found.name) == expected


@given(
    st.integers(0, 2 * 365 * 24 * 60),
    st.times(),
    st.integers(0, 6),
    st.sampled_from([NEW_YORK, TOKYO, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")]),
)
def test_what_is_told_has_ended_and_lately(minutes: int, at: time, weekday: int, zone: ZoneInfo) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    for found in (due_month(now, at, zone), due_week(now, weekday, at, zone)):
        if found is not None:
            assert timedelta() <= now - found.ends_at <= timedelta(days=LATEST_LETTER + 2)


@given(st.sampled_from([NEW_YORK, TOKYO]), st.times(), st.integers(0, 6))
def test_no_month_and_no_week_is_left_out(zone: ZoneInfo, at: time, weekday: int) -> None:
    looks = [datetime(2026, 1, 10, tzinfo=UTC) + timedelta(hours=hours) for hours in range(0, 24 * 120, 12)]
    months = {found.name for look in looks if (found := due_month(look, at, zone))}
    weeks = sorted({found.first for look in looks if (found := due_week(look, weekday, at, zone))})
    assert months >= {"2026-01", "2026-02", "2026-03"}
    assert {later - earlier for earlier, later in pairwise(weeks)} == {timedelta(days=7)}


def test_settings_say_when() -> None:
    off, on = Settings.from_flat(), Settings.from_flat({"letter_weekly": "SAT 08:00", "letter_monthly": "07:30"})
    assert (off.reports.weekly_at, off.reports.monthly_at) == (None, None)
    assert (on.reports.weekly_at, on.reports.monthly_at) == ((5, time(8)), time(7, 30))


def test_amounts_are_said_to_who_may_see_them() -> None:
    shown = section("DU1000001", LETTER, Discretion(NAMES, amounts=True))
    assert shown.title == "Alice & <Bob>"
    assert dict(shown.facts)["equity"] == "102,000.00 USD"
    assert dict(shown.facts)["gain"] == "+1,500.00 USD (+1.50%)"
    trades, cost = shown.tables
    assert trades.rows == (("buy SPY", "49.0%", "100", "500.0000", "50,000.00", "2.00"),)
    assert [row[::2] for row in cost.rows] == [
        ("delay", "2.00"),
        ("spread", "2.10"),
        ("impact", "-0.10"),
        ("commission", "2.00"),
        ("together", "6.00"),
    ]
    assert cost.remarks == ("1 order without a quote on record: left out",)
    assert [value for _, value in shown.line] == [Decimal(1), Decimal("1.02")]


def test_without_them_nothing_tells_how_much_there_is() -> None:
    shown = section("DU1000001", LETTER, Discretion(NAMES))
    words = repr((shown.facts, shown.tables))
    assert "USD" not in words
    assert {amount for amount in ("102", "1,500", "50,000", "2.10", "100") if amount in words} == set()


def test_where_little_is_known_little_is_said() -> None:
    unknown = dict.fromkeys(("equity", "began", "gain", "flow", "days"))
    nothing = COSTS | {"orders": 0, "worth": "0", "cost": "0"}
    idle = LETTER | unknown | {"rebalances": 0, "orders": 0, "fills": 0, "traded": "0", "trades": [], "costs": nothing}
    shown = section("DU1000001", idle | {"approvals": 0}, Discretion(NAMES, amounts=True))
    assert (shown.facts, shown.tables, shown.line) == ((("rebalances", "0"), ("trades", "no orders")), (), ())
    empty = LETTER | {"equity": "0", "began": "0", "gain": "0", "flow": "0", "days": [["2026-06-01", "0"]]}
    assert section("DU1000001", empty, Discretion(NAMES)).line == ()


def test_the_same_letter_is_the_same_pdf_whatever_names_hold() -> None:
    sections = [section("DU1000001", LETTER, Discretion(NAMES, amounts=True))] * 40
    made = pdf("Letter of <June> & 2026", sections)
    assert made.startswith(b"%PDF-")
    assert made == pdf("Letter of <June> & 2026", sections)
    assert len(made) < 200_000
    assert pdf("Letter", []).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë & Søn", "Zoë & Søn"),
        ("Zoe\u0308", "Zoë"),
        ("Dvořák", "Dvorák"),
        ("Łódź", "?ódz"),
        ("Ромашка", "???????"),
        ("年金", "??"),
        ("5 \N{EURO SIGN}", "5 \N{EURO SIGN}"),
    ],
)
def test_a_letter_that_the_font_lacks_is_its_nearest_or_a_question_mark(name: str, shown: str) -> None:
    font = Font()
    assert font.plain(name) == shown
    assert font.lacked is (normalize("NFC", name) != shown)


def test_a_pdf_says_that_it_cannot_show_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportlab.rl_config.pageCompression", 0)
    plain, named = (pdf("June", [section(name, LETTER, Discretion({name: name}))]) for name in ("DU1", "Ромашка"))
    assert b"letters of western Europe" in named
    assert b"letters of western Europe" not in plain
