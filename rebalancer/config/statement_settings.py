"""Settings of the nightly proof against the broker's statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time

from pydantic import Field

from rebalancer.config.field_help import SECRET
from rebalancer.config.settings_section import Section
from rebalancer.config.types import HttpUrl, Secret

_IBKR = "https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService"


@dataclass(frozen=True, slots=True)
class FlexQuery:
    """One query of one login; its number is no secret."""

    query_id: str
    token: str


class StatementSettings(Section):
    """Off while there is neither token nor query."""

    flex_token: Secret | None = Field(
        default=None,
        json_schema_extra=SECRET | {"allowed": "a Flex token; of several logins, one each, by commas"},
        description="Token of the Flex web service, with which the broker's statements are fetched each night and held "
        "against the ledger. Without it nothing is fetched.",
    )
    flex_query_id: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,20}(, ?[0-9]{1,20})*$",
        json_schema_extra={"allowed": "a number; of several logins, one for each token, by commas"},
        description="Number of the Activity Flex Query whose statements are fetched.",
    )
    flex_base_url: HttpUrl = Field(
        default=_IBKR,
        json_schema_extra={"allowed": "https:// URL, or http:// on this machine"},
        description="Where they are fetched: {this}/SendRequest and {this}/GetStatement.",
    )
    statement_at: str = Field(
        default="07:00",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        json_schema_extra={"allowed": "HH:MM"},
        description="When the day before is fetched, Tuesday to Saturday, by New York's clocks.",
    )
    statement_halts: bool = Field(
        default=False,
        description="Halt an account whose statement has a difference to the ledger that nothing in it explains.",
    )

    def contradictions(self) -> Iterator[str]:
        """One without the other; see :class:`Section`."""
        if len(self._tokens) != len(self._query_ids):
            yield (
                f"FLEX_TOKEN and FLEX_QUERY_ID belong together, one for each login: {len(self._tokens)} and "
                f"{len(self._query_ids)} are set"
            )
        if len(set(self._query_ids)) != len(self._query_ids):
            yield "FLEX_QUERY_ID names a query twice: remove one, and its token"

    @property
    def flex_queries(self) -> tuple[FlexQuery, ...]:
        """Of each login; empty while statements are off."""
        return tuple(map(FlexQuery, self._query_ids, self._tokens))

    @property
    def statement_time(self) -> time:
        """``statement_at`` as such."""
        return time.fromisoformat(self.statement_at)

    def secret_values(self) -> Iterator[str]:
        """Each token alone, too."""
        yield from super().secret_values()
        yield from self._tokens

    @property
    def _tokens(self) -> tuple[str, ...]:
        return _listed(self.flex_token.get_secret_value() if self.flex_token else "")

    @property
    def _query_ids(self) -> tuple[str, ...]:
        return _listed(self.flex_query_id or "")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
