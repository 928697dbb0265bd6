"""How far a gateway's login is, as its helper says in its log: IBC, or ibg-controller that follows it; pure.

Source: IBC's log at July 2026 (LoginManager, LoginFailedDialogHandler, TooManyFailedLoginAttemptsDialogHandler), its
issues 182, 207 and 298; ibg-controller 0.6.2 (gateway_controller.py, OBSERVABILITY.md). What has another wording is no
word of the login.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class LoginStep(StrEnum):
    """What the newest word on the login was."""

    ASKED = "asked"
    """IBKR has sent its question for the second factor to the owner's phone."""
    MISSED = "missed"
    """Nobody answered it in time; whether it is asked again by itself is a setting of IBC."""
    REFUSED = "refused"
    """User name or password, or too many tries."""
    COMPLETED = "completed"


WAITING = frozenset({LoginStep.ASKED, LoginStep.MISSED, LoginStep.REFUSED})
"""Nobody can trade until a person does something."""

_STEPS = (
    (re.compile(r"Second Factor Authentication initiated"), LoginStep.ASKED),
    (re.compile(r"Re-login after second factor authentication timeout"), LoginStep.MISSED),
    (re.compile(r"IBC closing because login has not completed after Second Factor Authentication"), LoginStep.MISSED),
    (re.compile(r"Login failed|Login error message:|Too many failed login attempts"), LoginStep.REFUSED),
    (re.compile(r"Login has completed\s*$"), LoginStep.COMPLETED),
    (re.compile(r"Waiting for IB Key mobile approval"), LoginStep.ASKED),
    (re.compile(r"IB Key approval wait timed out"), LoginStep.MISSED),
    (re.compile(r"ALERT_LOGIN_FAILED\b|ALERT_2FA_FAILED\b"), LoginStep.REFUSED),
    (re.compile(r"Login complete\. Entering monitor loop|Re-auth complete, resuming monitor"), LoginStep.COMPLETED),
)
_LONGEST_LINE = 500
_END_OF_LIFE = re.compile(r"desupported on (\d{8})\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Word:
    """What a line says of the login.

    Attributes:
        line: as it stands in the log; it begins with the gateway's time, which tells one from the next.
    """

    step: LoginStep
    line: str


def words(lines: Iterable[str]) -> list[Word]:
    """What is said of the login, in order."""
    found = (_word(line[:_LONGEST_LINE].strip()) for line in lines)
    return [word for word in found if word is not None]


def _word(line: str) -> Word | None:
    return next((Word(step, line) for pattern, step in _STEPS if pattern.search(line)), None)


def end_of_life(text: str) -> date | None:
    """From when on IBKR takes no login of this build of the gateway, where a message says so: *The version of the
    application you are running, 1019.2, needs to be upgraded, as it will be desupported on 20250320* (Lean issue 8606,
    Lean.Brokerages.InteractiveBrokers issue 143).
    """
    found = _END_OF_LIFE.search(text)
    try:
        return None if found is None else datetime.strptime(found[1], "%Y%m%d").date()  # noqa: DTZ007 - a day
    except ValueError:
        return None
