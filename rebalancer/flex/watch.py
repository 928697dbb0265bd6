"""Asks for the statements that are due, one question at a time, and puts on record how they compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from rebalancer.config.accounts_file import Accounts
from rebalancer.config.settings import Settings
from rebalancer.config.statement_settings import FlexQuery
from rebalancer.flex import pace
from rebalancer.flex.answers import Next, NoStatement
from rebalancer.ledger import flex_queries, statements
from rebalancer.ledger.flex_queries import QueryView
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.statements import Taken

if TYPE_CHECKING:
    from rebalancer.flex.fetching import FlexService
    from rebalancer.statements.content import Statement

log = structlog.get_logger()


class StatementWatch:
    """May run in several processes at once: each question is one process' turn, and each statement is compared once.

    A statement that is being made is known by its reference, which is on record: whoever comes next goes on with it.

    Args:
        accounts: as the file has them now.
    """

    def __init__(self, settings: Settings, ledger: Ledger, accounts: Callable[[], Accounts]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._accounts = accounts
        self._queries = {one.query_id: one for one in settings.statements.flex_queries}

    def look(self) -> None:
        """Ask one question of each query that is due.

        Raises:
            RecordUnavailable: PostgreSQL is away.
            ConfigurationError: the accounts cannot be read.
        """
        for _ in self._queries:
            with self._ledger.begin() as session:
                turn = flex_queries.take_turn(session, self._queries)
            if turn is None:
                return
            self._take(turn, self._queries[turn.query_id])

    def _take(self, turn: QueryView, query: FlexQuery) -> None:
        from rebalancer.flex.fetching import FlexService  # noqa: PLC0415 - only at night

        service = FlexService(self._settings.statements.flex_base_url, query.token, query.query_id)
        try:
            if turn.reference is None:
                self._request(service)
            else:
                self._read(service, turn.reference)
        except NoStatement as none:
            self._wait(turn, none)

    def _request(self, service: FlexService) -> None:
        reference = service.request()
        with self._ledger.begin() as session:
            flex_queries.requested(session, service.query_id, reference, pace.FIRST_LOOK)
        log.info("statement_requested", query=service.query_id)

    def _read(self, service: FlexService, reference: str) -> None:
        from rebalancer.flex.decoding import Unusable, decode  # noqa: PLC0415 - only at night

        root = service.statement(reference)
        try:
            ours = self._ours(decode(root), service.query_id)
        except Unusable as why:
            raise NoStatement(f"the statement cannot be used: {why}", Next.PERSON) from None
        if not ours:
            raise NoStatement("none of the accounts of the accounts file is in it: add them to the query", Next.PERSON)
        taken = [self._compare(one, service.query_id) for one in ours]
        now = datetime.now(UTC)
        due = pace.next_morning(now, self._settings.statements.statement_time)
        if Taken.NEW not in taken:
            due = min(due, now + pace.NOT_YET)
        with self._ledger.begin() as session:
            flex_queries.read(session, service.query_id, due)

    def _ours(self, found: Sequence[Statement], query_id: str) -> list[Statement]:
        known = {account.account_id for account in self._accounts()}
        for other in sorted({one.account_id for one in found} - known):
            log.info("statement_of_another_account", query=query_id, account_id=other)
        return [one for one in found if one.account_id in known]

    def _compare(self, statement: Statement, query_id: str) -> Taken:
        halting = self._settings.statements.statement_halts
        with self._ledger.begin() as session:
            taken = statements.take(session, statement, query_id, halting=halting)
            found = statements.newest(session, statement.account_id)
        level = log.warning if found and found.unexplained and taken is Taken.NEW else log.info
        level(
            "statement_compared",
            account_id=statement.account_id,
            day=statement.last.isoformat(),
            taken=str(taken),
            differences=len(found.differences) if found else 0,
            unexplained=found.unexplained if found else 0,
        )
        return taken

    def _wait(self, turn: QueryView, none: NoStatement) -> None:
        """Nothing of it is lost: the next turn asks again, for the same statement or for a new one."""
        waited = datetime.now(UTC) - turn.requested_at if turn.requested_at else pace.PATIENCE
        in_time = turn.reference is not None and waited < pace.PATIENCE
        with self._ledger.begin() as session:
            if none.next is Next.SLOWER:
                flex_queries.waits(session, turn.query_id, pace.TOO_FAST)
            elif none.next is Next.WAIT and in_time:
                flex_queries.waits(session, turn.query_id, pace.again_after(waited))
            else:
                for_a_person = none.next is Next.PERSON
                pause = pace.FOR_A_PERSON if for_a_person else pace.pause_after(turn.failures)
                flex_queries.failed(session, turn.query_id, none.reason, pause, for_a_person=for_a_person)
        log.warning("statement_waits", query=turn.query_id, next=str(none.next), error=none.reason)
