"""Settings of the stores."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from rebalancer.config.field_help import SECRET
from rebalancer.config.settings_section import Section
from rebalancer.config.types import DatabaseUrl, RedisUrl, Secret, with_password


class StoreSettings(Section):
    """PostgreSQL and Redis."""

    database_url: DatabaseUrl = Field(
        default="postgresql+psycopg2://postgres@localhost/rebalancer",
        repr=False,
        json_schema_extra={"secret": True, "allowed": "postgresql+psycopg2:// URL"},
        description="PostgreSQL database with the ledger, the only truth about events and orders.",
    )
    database_password: Secret | None = Field(
        default=None, json_schema_extra=SECRET, description="Password for DATABASE_URL, where that has none."
    )
    redis_url: RedisUrl = Field(
        default="redis://localhost:6379/0",
        repr=False,
        json_schema_extra={"secret": True, "allowed": "redis:// URL, or rediss:// with readable certificates"},
        description="Redis with the queue and the locks; it may be lost at any time without harm.",
    )
    redis_password: Secret | None = Field(
        default=None, json_schema_extra=SECRET, description="Password for REDIS_URL, where that has none."
    )

    @model_validator(mode="before")
    @classmethod
    def _passwords_join_urls(cls, given: dict[str, Any]) -> dict[str, Any]:
        joined = dict(given)
        for store in ("database", "redis"):
            if password := given.get(f"{store}_password"):
                url = given.get(f"{store}_url") or cls.model_fields[f"{store}_url"].default
                joined[f"{store}_url"] = with_password(url, password)
        return joined
