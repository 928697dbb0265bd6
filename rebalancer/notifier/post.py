"""Sends what waits in the outbox for one target."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from rebalancer.domain.notices import Severity
from rebalancer.ledger import outbox
from rebalancer.notifier import preferences
from rebalancer.notify import sending
from rebalancer.notify.destinations import Target
from rebalancer.notify.letters import Letter, compose
from rebalancer.services import Services

log = structlog.get_logger()

LEASE = timedelta(seconds=3 * sending.TIMEOUT_S)


class Post:
    """One target's post; however many processes have one for it, each message is sent by one of them."""

    def __init__(self, services: Services, target: Target) -> None:
        self._services = services
        self._target = target
        self._patience = timedelta(days=services.settings.notifications.notify_keep_days)

    def send_next(self) -> bool:
        """Send one message, if one is due.

        Returns:
            False when nothing is due.

        Raises:
            RecordUnavailable: PostgreSQL is away; what was being sent is sent again when its lease has run out.
        """
        ledger = self._services.ledger
        if not ledger.finds(outbox.ANY):
            return False
        with ledger.begin() as session:
            claimed = outbox.claim(session, self._target.name, LEASE)
        if claimed is None:
            return False
        error = self._try(claimed)
        with ledger.begin() as session:
            given_up = outbox.failed(session, claimed, error, self._patience) if error else 0
            if error is None:
                outbox.sent(session, claimed)
        self._log(claimed, error, given_up)
        return True

    def _try(self, claimed: outbox.Claimed) -> str | None:
        try:
            return sending.send(self._target, self._letter(claimed))
        except Exception as error:  # noqa: BLE001 - other people's plugins: one that breaks must not stop the post
            return f"{type(error).__name__} while sending"

    def _letter(self, claimed: outbox.Claimed) -> Letter:
        """What cannot be put into words must not keep the rest of an account's news from anybody."""
        try:
            return compose(claimed.notices, preferences.style(self._services, self._target.name), datetime.now(UTC))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            log.exception("notification_without_words", notices=[notice.id for notice in claimed.notices])
            what = "There is news that could not be put into words: see `rebalancer events` and the log of beat."
            return Letter("Rebalancer: look at your accounts", what, Severity.ERROR, good=False)

    def _log(self, claimed: outbox.Claimed, error: str | None, given_up: int) -> None:
        told = log.bind(target=claimed.target, notices=[notice.id for notice in claimed.notices])
        if error is None:
            told.info("notification_sent")
            return
        told.warning("notification_not_sent", error=error)
        if given_up:
            told.error("notification_given_up", error=error, given_up=given_up)
