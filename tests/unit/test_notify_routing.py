"""Who is told, when; and where."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from rebalancer.config.accounts_file import load_accounts
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.notices import Delivery, Notice, NoticeKind, Severity, Subscription
from rebalancer.notify.destinations import parse_targets
from rebalancer.notify.routing import Routes, route
from rebalancer.notify.timing import LATEST, digest_day, pause_after

NOW = datetime(2026, 7, 1, 14, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
ROUTES = Routes(
    ("phone", "mail"),
    Severity.WARNING,
    timedelta(minutes=1),
    {
        "A": Subscription(("mail",), Severity.INFO),
        "B": Subscription(None, Severity.ERROR),
        "C": Subscription(("gone",), None),
    },
)


@pytest.mark.parametrize(
    ("kind", "account", "expected"),
    [
        (NoticeKind.REBALANCED, "A", [Delivery("mail", "A", LATER)]),
        (NoticeKind.ATTENTION, "A", [Delivery("mail", "A", NOW)]),
        (NoticeKind.REMOVED, "A", [Delivery("mail", "A", NOW)]),
        (NoticeKind.REMOVED, "B", []),
        (NoticeKind.RECOVERED, "B", [Delivery("phone", "B", NOW), Delivery("mail", "B", NOW)]),
        (NoticeKind.ATTENTION, "C", []),
        (NoticeKind.REBALANCED, "D", []),
        (NoticeKind.HALTED, None, [Delivery("phone", "", NOW), Delivery("mail", "", NOW)]),
        (NoticeKind.DIGEST, "B", [Delivery("phone", "digest", NOW), Delivery("mail", "digest", NOW)]),
        (NoticeKind.DIGEST, "A", [Delivery("mail", "digest", NOW)]),
        (NoticeKind.LETTER, "A", [Delivery("mail", "letter 2026-06", NOW)]),
    ],
)
def test_each_fact_reaches_who_wants_it(kind: NoticeKind, account: str | None, expected: list[Delivery]) -> None:
    assert list(route(Notice(1, NOW, kind, account, None, {"period": "2026-06"}), ROUTES)) == expected


@pytest.mark.parametrize(
    ("now", "at", "expected"),
    [
        ("2026-03-02T22:00", "17:00", "2026-03-02"),
        ("2026-03-02T21:59", "17:00", None),
        ("2026-03-03T03:59", "17:00", "2026-03-02"),
        ("2026-03-03T04:01", "17:00", None),
        ("2026-03-03T05:10", "23:55", "2026-03-02"),
        ("2026-03-08T07:30", "02:30", "2026-03-08"),  # 3:30 on the night without a 2:30
        ("2026-03-08T07:29", "02:30", None),
        ("2026-11-01T05:30", "01:30", "2026-11-01"),  # the first of two 1:30
        ("2026-11-01T06:30", "01:30", "2026-11-01"),  # the second
        ("2026-11-01T05:29", "01:30", None),
    ],
)
def test_the_digest_is_due_once_a_day(now: str, at: str, expected: str | None) -> None:
    found = digest_day(datetime.fromisoformat(now).replace(tzinfo=UTC), time.fromisoformat(at), NEW_YORK)
    assert found == (None if expected is None else date.fromisoformat(expected))


@pytest.mark.parametrize("first", ["2026-03-06", "2026-10-30"])
@pytest.mark.parametrize("at", ["00:00", "01:30", "02:00", "02:30", "17:00", "23:59"])
def test_each_day_has_one_digest_also_when_the_clocks_change(first: str, at: str) -> None:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    looks = (start + timedelta(minutes=7 * step) for step in range(4 * 24 * 60 // 7))
    days = [day for look in looks if (day := digest_day(look, time.fromisoformat(at), NEW_YORK))]
    inner = sorted(set(days))[1:-1]
    assert days == sorted(days)
    assert inner == [inner[0] + timedelta(days=number) for number in range(len(inner))]
    assert timedelta(hours=6) == LATEST


def test_pauses_grow_to_an_hour() -> None:
    pauses = [pause_after(tries).total_seconds() for tries in (1, 2, 3, 8, 9, 1000)]
    assert pauses == [15, 30, 60, 1920, 3600, 3600]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ntfys://topic", ["ntfys"]),
        ("phone=ntfys://topic  mail=mailto://u:p@h?to=a@b,c@d", ["phone", "mail"]),
        (" phone=ntfys://topic, NTFY://h/t,\nmy-bot=tgram://1:x/2 ", ["phone", "ntfy", "my-bot"]),
    ],
)
def test_targets_are_read(text: str, names: list[str]) -> None:
    found = parse_targets(text, lambda _: True)
    assert [target.name for target in found] == names
    assert "topic" not in repr(found)


@pytest.mark.parametrize(
    ("urls", "problem"),
    [
        ("hunter2", "target 1 is not of the form name=URL"),
        ("a=ntfys://x b=ntfyz://hunter2", "target 2 (b) is no URL that Apprise understands"),
        ("a=windows://[hunter2", "target 1 (a) is no URL that Apprise understands"),
        ("ntfys://hunter2 ntfys://x", "several targets are called ntfys"),
    ],
)
def test_a_target_that_is_not_understood_is_named_without_its_url(urls: str, problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.from_flat({"notify_urls": urls})
    assert problem in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("notify_zone", "Mars/Olympus", "NOTIFY_ZONE = 'Mars/Olympus' is no time zone"),
        ("heartbeat_url", "ftp://hunter2", "HEARTBEAT_URL = (not shown) is refused"),
        ("notify_digest_at", "25:00", "should match pattern"),
        ("letter_weekly", "08:00", "should match pattern"),
        ("letter_monthly", "sat 08:00", "should match pattern"),
    ],
)
def test_other_settings_are_refused_at_start_too(setting: str, value: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem.replace("(", r"\(").replace(")", r"\)")) as refused:
        Settings.from_flat({setting: value})
    assert "hunter2" not in str(refused.value)


def test_every_telling_part_of_a_url_is_a_secret() -> None:
    settings = Settings.from_flat(
        {
            "notify_urls": "a=mailtos://mail.example.com?user=me&pass=pass%20word&to=x@y.de, tgram://123456789:abcdef/987654321",
            "heartbeat_url": "https://hc-ping.com/3f0c2d1e-aaaa",
        }
    )
    secrets = settings.secret_values()
    assert {"pass%20word", "pass word", "123456789", "abcdef", "987654321", "3f0c2d1e-aaaa"} <= secrets
    assert "tgram://123456789:abcdef/987654321" in secrets
    assert not {"mail.example.com", "hc-ping.com"} & secrets


def test_accounts_choose_among_the_targets_by_name(tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    rows = [
        "{account_id: DU1, type: paper, strategy_name: s, name: Ann, notify: {to: [phone], severity: error}}",
        "{account_id: DU2, type: paper, strategy_name: s, name: Ann, notify: {to: [phne]}}",
        "{account_id: DU3, type: paper, strategy_name: s, notify: {to: phone}}",
    ]
    file.write_text("accounts:\n" + "".join(f"  - {row}\n" for row in rows[:1]))
    [account] = load_accounts(file, {}, targets=["phone"])
    assert (account.name, account.notify) == ("Ann", Subscription(("phone",), Severity.ERROR))
    file.write_text("accounts:\n" + "".join(f"  - {row}\n" for row in rows))
    with pytest.raises(ConfigurationError) as refused:
        load_accounts(file, {}, targets=["phone"])
    assert [problem.removeprefix(f"{file}:") for problem in refused.value.problems] == [
        "4: accounts[2].notify.to has to be a list of names from NOTIFY_URLS",
        "3: accounts[1].notify.to names 'phne', which is unknown: did you mean phone?",
        "3: accounts[1].name = 'Ann' is there twice, first at " + f"{file}:2: accounts[0].name: tell them apart",
    ]
