"""What IBC's log and the gateway's messages say of the login."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from rebalancer.domain.gateway_login import LoginStep, end_of_life, words
from rebalancer.notify.timing import weekly_day

AT = "2026-03-01 22:31:43:459 IBC: "
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("message", "step"),
    [
        ("Second Factor Authentication initiated", LoginStep.ASKED),
        ("Re-login after second factor authentication timeout in 5 second", LoginStep.MISSED),
        ("Re-login after second factor authentication timeout not required", LoginStep.MISSED),
        ("IBC closing because login has not completed after Second Factor Authentication", LoginStep.MISSED),
        ("Login failed", LoginStep.REFUSED),
        (
            "Too many failed login attempts. Please wait 53 seconds before attempting to re-login again.",
            LoginStep.REFUSED,
        ),
        ("Login has completed", LoginStep.COMPLETED),
        ("Login has already completed - no need for IBC to exit", None),
        ("Login has completed: exiting via [[File, Close]] menu", None),
        ("Detected dialog entitled: Second Factor Authentication; event=Opened", None),
        ("If login has not completed, IBC will exit in 60 seconds", None),
        ("", None),
    ],
)
def test_steps_are_told_by_ibcs_own_words(message: str, step: LoginStep | None) -> None:
    told = words([AT + message, "ib-gateway-1  | " + AT + message])
    assert [word.step for word in told] == ([step, step] if step else [])


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (
            "[INFO] [live] Waiting for IB Key mobile approval — approve on your phone",
            LoginStep.ASKED,
        ),
        ("[WARNING] [live] IB Key approval wait timed out", LoginStep.MISSED),
        (
            '[ERROR] [live] ALERT_LOGIN_FAILED mode=live reason="bad-credentials"',
            LoginStep.REFUSED,
        ),
        ('[ERROR] [live] ALERT_2FA_FAILED mode=live reason="2FA method mismatch"', LoginStep.REFUSED),
        ("[INFO] [live] Login complete. Entering monitor loop.", LoginStep.COMPLETED),
        ("[INFO] [live] Re-auth complete, resuming monitor", LoginStep.COMPLETED),
        ("[INFO] [live]   IB Key wait t+20s: still waiting for approval...", None),
        ("[INFO] [live] API port opened — IB Key approval succeeded", None),
        ("[ERROR] [live] Re-auth: login failed", None),
        ("[INFO] [live] IB Key 2FA dialog detected: ('JDialog', 'Second Factor Authentication', True)", None),
    ],
)
def test_steps_are_told_by_the_words_of_what_follows_ibc(message: str, step: LoginStep | None) -> None:
    told = words([f"2026-09-20 12:00:03,459 {message}"])
    assert [word.step for word in told] == ([step] if step else [])


def test_a_line_without_end_is_cut() -> None:
    assert words(["x" * 1_000_000 + "Login failed"]) == []
    assert len(words(["Login failed" + "x" * 1_000_000])[0].line) == 500


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (
            "The version of the application you are running, 1019.2, needs to be upgraded, as it will be desupported "
            "on 20250320. The minimum supported version at that time will be 1030.1.",
            date(2025, 3, 20),
        ),
        ("it will be desupported on 20251320.", None),
        ("it will be desupported on 2025032099", None),
        ("Market data farm connection is OK", None),
    ],
)
def test_the_end_of_a_build_is_a_day(text: str, day: date | None) -> None:
    assert end_of_life(text) == day


@pytest.mark.parametrize(
    ("hour", "day", "found"),
    [(15, 1, None), (16, 1, None), (17, 1, date(2026, 3, 1)), (22, 1, date(2026, 3, 1)), (17, 2, None)],
)
def test_the_reminder_is_due_for_some_hours_on_its_day(hour: int, day: int, found: date | None) -> None:
    now = datetime(2026, 3, day, hour, 30, tzinfo=UTC)
    assert weekly_day(now, 6, time(12), NEW_YORK) == found
