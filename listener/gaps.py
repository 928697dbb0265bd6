"""What is done when signals may have been missed for longer than history reaches back.

A rebalance is about a state: whoever missed the signal can still ask for the newest targets. So each account whose
strategy has rebalanced since its own last rebalance gets one event, live or dry as the settings say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from datetime import date
from uuid import UUID

import structlog

from listener.followers import Roster
from listener.publisher import Publisher
from listener.threads import in_daemon_thread
from listener.timing import Timing
from rebalancer.config.accounts_file import Account
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.ports import TargetSource
from rebalancer.ledger import channel_log
from rebalancer.ledger.channel_log import LastRebalance, OpenGap
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal

log = structlog.get_logger()

COMMANDS: Mapping[str, Command] = {"dry-run": Command.PRINT_REBALANCE, "rebalance": Command.REBALANCE}


class GapKeeper:
    """Answers open gaps, also those that an earlier process left.

    Args:
        command: what accounts do; ``None`` leaves it at the record.
        targets: asked when each strategy last rebalanced; needed with a command only.
    """

    def __init__(
        self,
        ledger: Ledger,
        roster: Roster,
        publisher: Publisher,
        timing: Timing,
        *,
        command: Command | None,
        targets: TargetSource | None,
    ) -> None:
        self._ledger = ledger
        self._roster = roster
        self._publisher = publisher
        self._timing = timing
        self._command = command
        self._targets = targets
        self._noticed = asyncio.Event()
        self._noticed.set()

    def put(self, gaps: Iterable[OpenGap]) -> None:
        """Report new gaps, loudly."""
        for gap in gaps:
            log.error(
                "signals_may_have_been_missed",
                channel=gap.channel,
                since=gap.since.isoformat(),
                until=gap.until.isoformat(),
                answer=str(self._command or "none"),
            )
            self._noticed.set()

    async def run(self) -> None:
        """Answer for ever; what cannot be answered now is tried again, soon when there is news."""
        failures = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.pause_after(failures) if failures else None):
                    await self._noticed.wait()
            self._noticed.clear()
            answers = await in_daemon_thread(self._answer_all)
            self._publisher.put({event_id for answer in answers for event_id in answer or ()})
            failures = failures + 1 if None in answers else 0

    def _answer_all(self) -> list[tuple[UUID, ...] | None]:
        """Each gap by itself: one that cannot be answered keeps no other waiting.

        Returns:
            The events that answer each; ``None`` for what has to be tried again.
        """
        try:
            with self._ledger.begin() as session:
                gaps = channel_log.open_gaps(session)
        except RecordUnavailable as error:
            log.warning("gaps_unknown", error=str(error))
            return [None]
        return [self._tried(gap) for gap in gaps]

    def _tried(self, gap: OpenGap) -> tuple[UUID, ...] | None:
        try:
            return self._answer(gap)
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with one, the others are answered
            error = f"{type(problem).__name__}: {problem}"
            log.warning("gap_not_answered_yet", channel=gap.channel, since=gap.since.isoformat(), error=error)
            return None

    def _answer(self, gap: OpenGap) -> tuple[UUID, ...]:
        followers = self._roster.followers(gap.channel)
        if self._command is None or self._targets is None:
            return self._close(gap, "recorded only: CATCH_UP_AFTER_GAP is off", None, ())
        if not followers:
            return self._close(gap, "no enabled account follows the strategy any more", None, ())
        day = self._targets.fetch(gap.channel).last_rebalance_on
        behind = [account for account in followers if is_behind(day, self._last(account, gap.channel))]
        if not behind:
            return self._close(gap, f"every account has followed the rebalance of {day}", None, ())
        remark = f"signals may have been missed; the strategy rebalanced on {day or 'an unknown day'}"
        return self._close(gap, f"{remark}: {self._command} for {len(behind)} accounts", self._command, behind)

    def _last(self, account: Account, channel: str) -> LastRebalance | None:
        with self._ledger.begin() as session:
            return channel_log.last_rebalance(session, account.account_id, account.strategy, channel)

    def _close(self, gap: OpenGap, remark: str, command: Command | None, behind: Iterable[Account]) -> tuple[UUID, ...]:
        signal = NewSignal(gap.channel, f"gap:{gap.gap_id}", command, remark=remark) if command else None
        addressees = [Addressee.of(account, gap.channel) for account in behind]
        with self._ledger.begin() as session:
            recorded = channel_log.answer_gap(session, gap, remark, signal, addressees)
        log.warning("gap_answered", channel=gap.channel, since=gap.since.isoformat(), remark=remark)
        return tuple(served.event_id for served in recorded.served) if recorded else ()


def is_behind(strategy_day: date | None, last: LastRebalance | None) -> bool:
    """Whether a strategy may have rebalanced since an account did; pure.

    Args:
        strategy_day: when the strategy rebalanced last; ``None`` when its provider does not say.
        last: what the account did last; ``None`` when it never has.
    """
    if strategy_day is None or last is None or last.targets_of is None:
        return True
    return strategy_day > last.targets_of
