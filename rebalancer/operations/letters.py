"""Letters as people ask for them: of any week or month, at once, and with amounts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rebalancer.domain.periods import Period
from rebalancer.ledger.queries.letters import account_letter
from rebalancer.notify.letter_sections import Section, section
from rebalancer.notify.privacy import Discretion
from rebalancer.services import Services

Details = dict[str, dict[str, Any]]
"""By account id, see :func:`rebalancer.ledger.queries.letters.account_letter`."""


def details(services: Services, period: Period, account_ids: Collection[str] | None = None) -> Details:
    """What the letter of a period says of each account of which something is on record.

    Args:
        account_ids: of these; ``None`` for all that are configured.

    Raises:
        ConfigurationError, RecordUnavailable: as usual.
    """
    chosen = [one.account_id for one in services.accounts()] if account_ids is None else account_ids
    found: Details = {}
    for account_id in chosen:
        with services.ledger.begin() as session:
            detail = account_letter(session, account_id, period)
        if detail is not None:
            found[account_id] = detail
    return found


def at_home(services: Services, found: Mapping[str, dict[str, Any]]) -> list[Section]:
    """The same as it is shown to who may read the ledger: ids, names and amounts."""
    known = {one.account_id: one.name for one in services.accounts()}
    names = {one: f"{one} {known.get(one) or ''}".rstrip() for one in found}
    return [section(one, detail, Discretion(names, amounts=True)) for one, detail in found.items()]
