"""Settings of the stores, of the files that a person maintains, and of what listens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rebalancer.config.field_help import SECRET
from rebalancer.config.proof_file import Proof
from rebalancer.config.settings_section import Section
from rebalancer.config.types import Capitals, DatabaseUrl, Port, RedisUrl, Secret, SmallLetters, with_password


class StoreSettings(Section):
    """PostgreSQL, Redis, files, ports and logs."""

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
    accounts_file: Path = Field(
        default=Path("accounts.yaml"),
        json_schema_extra={"allowed": "path"},
        description="File with the accounts.",
    )
    replacement_sets_file: Path = Field(
        default=Path("replacement-sets.yaml"),
        json_schema_extra={"allowed": "path"},
        description="File with the replacement sets that accounts name.",
    )
    management_api_key: Secret | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Bearer key of the API that may do everything, of 16 characters or more; several, separated by "
        "commas, while one is exchanged for another. `rebalancer keys` makes others that may do less.",
    )
    api_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that the API and the web page listen on.",
    )
    api_port: Port = Field(default=8000, description="Their port.")
    flower_port: Port = Field(default=5555, description="Port of Flower.")
    flower_control: bool = Field(
        default=False,
        description="Let Flower do more than show: send and revoke tasks, stop and reconfigure workers.",
    )
    proof_file: Path | None = Field(
        default=None,
        json_schema_extra={"allowed": "path"},
        description="File that worker, beat and listener touch whenever they have proven that they work; each needs "
        "its own. Containers are asked for its age.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Capitals] = Field(
        default="INFO", description="Least severity that is logged."
    )
    log_format: Annotated[Literal["json", "console"], SmallLetters] = Field(
        default="json", description="One JSON object per line, or text for a person."
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

    @property
    def proof(self) -> Proof:
        """``proof_file`` as such."""
        return Proof(self.proof_file)
