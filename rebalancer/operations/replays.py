"""Recorded runs by other settings, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from rebalancer.config.replayed_settings import read_changes
from rebalancer.domain.errors import ConfigurationError, RequestRefused
from rebalancer.ledger.queries.recorded_runs import replayed
from rebalancer.ledger.queries.spans import Span
from rebalancer.replay.runs import Replay
from rebalancer.services import Services

REPLAYED = timedelta(days=366)
"""How far back a replay goes if nobody says."""


def replay_of(services: Services, texts: Iterable[str], account_id: str | None, span: Span) -> Replay:
    """Of one account, or of all; ``texts`` are ``NAME=VALUE``.

    Raises:
        RequestRefused: a change that cannot be replayed.
        UnknownAccount: the accounts file has no such account.
    """
    try:
        changes = read_changes(texts)
    except ConfigurationError as refused:
        raise RequestRefused(str(refused)) from refused
    known = services.accounts()
    asked = [one.account_id for one in known] if account_id is None else [known.get(account_id).account_id]
    with services.ledger.begin() as session:
        return replayed(session, asked, span, changes)
