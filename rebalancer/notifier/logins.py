"""Tells people of each gateway's login: asked for now, missed, refused, done; and that the weekly one is due."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.gateway_login import WAITING, LoginStep, Word, words
from rebalancer.domain.gateways import of_gateway
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import outbox
from rebalancer.ledger.session import Session
from rebalancer.notify.timing import weekly_day
from rebalancer.services import Services

log = structlog.get_logger()

_MOST = 256 * 1024
"""Bytes of a log that are read at once; a login is told in some hundred."""
_AGAIN = timedelta(hours=1)
_KINDS = {
    LoginStep.ASKED: NoticeKind.LOGIN_ASKED,
    LoginStep.MISSED: NoticeKind.LOGIN_MISSED,
    LoginStep.REFUSED: NoticeKind.LOGIN_REFUSED,
    LoginStep.COMPLETED: NoticeKind.LOGGED_IN,
}


@dataclass(frozen=True, slots=True)
class LoginStage:
    """How far the login is, and since when as far as was seen."""

    step: LoginStep
    since: datetime

    def detail(self) -> dict[str, str]:
        """For the sign of life."""
        return {"step": self.step, "since": self.since.isoformat()}


class LoginWatch:
    """Follows the log of one gateway's helper, and the calendar.

    Args:
        gateway: its name.

    Raises:
        ConfigurationError: see :meth:`~rebalancer.services.Services.settings_of`.
    """

    def __init__(self, services: Services, gateway: str = MAIN_GATEWAY) -> None:
        self._services = services
        self.gateway = gateway
        self._here = services.settings_of(gateway)
        self._settings = self._here.notifications
        self._log = None if self._settings.gateway_log is None else _Follower(self._settings.gateway_log)
        self._told_at: dict[LoginStep, datetime] = {}
        self.login: LoginStage | None = None
        """``None`` while no log has said a word."""

    @property
    def has_work(self) -> bool:
        """Whether there is anything to follow."""
        return self._log is not None or self._reminds

    @property
    def _reminds(self) -> bool:
        """A login of paper trading is not asked for a second factor (IBC issue 182)."""
        live = self._here.broker.trading_mode is TradingMode.LIVE
        return live and self._settings.login_due_at is not None

    def look(self) -> None:
        """One look.

        Raises:
            RecordUnavailable: nothing is forgotten, the next look tells it.
        """
        if self._reminds:
            self._remind(datetime.now(UTC))
        if self._log is None:
            return
        lines, at = self._log.new()
        said = words(lines)
        self._tell(said if self.login else said[-1:], at)  # what was asked before this process began is answered
        self._log.keep()

    def _tell(self, said: list[Word], at: datetime) -> None:
        if not said:
            return
        news, told_at = _news(said, at, self._told_at)
        if news:
            with self._services.ledger.begin() as session:
                for word in news:
                    self._tell_one(session, _KINDS[word.step], word.line, at=at.isoformat(), line=word.line)
        self._told_at = told_at
        waits_still = self.login is not None and {self.login.step, said[-1].step} <= WAITING
        self.login = LoginStage(said[-1].step, self.login.since if self.login and waits_still else at)

    def _remind(self, now: datetime) -> None:
        due = self._settings.login_due_at
        day = due and weekly_day(now, *due, self._settings.notify_time_zone)
        if day:
            with self._services.ledger.begin() as session:
                self._tell_due(session, day.isoformat())

    def _tell_due(self, session: Session, day: str) -> None:
        window = self._here.orders.daily_restart_window
        self._tell_one(session, NoticeKind.LOGIN_DUE, day, restart=None if window is None else str(window))

    def _tell_one(self, session: Session, kind: NoticeKind, what: str, **detail: Any) -> None:
        """Once, whoever else follows the same log."""
        of = of_gateway(self.gateway)
        about = "login-due" if kind is NoticeKind.LOGIN_DUE else "login"
        outbox.tell(session, kind, key=":".join((about, *of.values(), what)), **detail, **of)


def watches(services: Services) -> tuple[LoginWatch, ...]:
    """One for each gateway that may be reached from here; for the main one alone while the accounts file is wrong."""
    try:
        names = (MAIN_GATEWAY, *services.accounts().gateways)
    except ConfigurationError:
        names = (MAIN_GATEWAY,)
    found = []
    for name in names:
        with suppress(ConfigurationError):  # one that is not used here, such as a live one in paper trading
            found.append(LoginWatch(services, name))
    return tuple(found)


def _news(
    said: list[Word], at: datetime, told_at: Mapping[LoginStep, datetime]
) -> tuple[list[Word], dict[LoginStep, datetime]]:
    """What people do not know yet, and when each step was told. A question is repeated every few minutes as long as
    nobody answers it; a login without one, as after each night's restart, is no news.
    """
    news, told = [], dict(told_at)
    for word in said:
        if word.step is LoginStep.COMPLETED:
            news += [word] if told else []
            told.clear()
        elif word.step not in told or at - told[word.step] >= _AGAIN:
            news.append(word)
            told[word.step] = at
    return news, told


class _Follower:
    """New lines of a log, or of the newest one in a folder, whatever becomes of the file."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._file: tuple[Path, int] | None = None
        self._read_to = 0
        self._next: tuple[tuple[Path, int] | None, int] = (None, 0)
        self._told_missing = False

    def new(self) -> tuple[list[str], datetime]:
        """Whole lines that were written since the last :meth:`keep`, and when the last of them was."""
        try:
            path = self._newest()
            found = path.stat()
            begin = self._read_to if self._file == (path, found.st_ino) and self._read_to <= found.st_size else 0
            begin = max(begin, found.st_size - _MOST)
            with path.open("rb") as file:
                file.seek(begin)
                content = file.read(_MOST)
        except OSError as error:
            self._missing(error)
            return [], datetime.now(UTC)
        self._told_missing = False
        whole = content[: content.rfind(b"\n") + 1]
        self._next = ((path, found.st_ino), begin + len(whole))
        return whole.decode("utf-8", "replace").splitlines(), datetime.fromtimestamp(found.st_mtime, UTC)

    def keep(self) -> None:
        """What was given is done with."""
        if self._next[0] is not None:
            self._file, self._read_to = self._next

    def _newest(self) -> Path:
        if not self._place.is_dir():
            return self._place
        files = [one for one in self._place.iterdir() if one.is_file()]
        if not files:
            raise FileNotFoundError(f"no file in {self._place}")
        return max(files, key=lambda one: one.stat().st_mtime)

    def _missing(self, error: OSError) -> None:
        if not self._told_missing:
            log.warning("gateway_log_unreadable", path=str(self._place), error=str(error))
        self._told_missing = True
