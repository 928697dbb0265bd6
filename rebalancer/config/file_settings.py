"""Settings of the files that a person maintains, and of the one that is a process' proof."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from rebalancer.config.proof_file import Proof
from rebalancer.config.settings_section import Section


class FileSettings(Section):
    """Where they are."""

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
    proof_file: Path | None = Field(
        default=None,
        json_schema_extra={"allowed": "path"},
        description="File that worker, beat and listener touch whenever they have proven that they work; each needs "
        "its own. Containers are asked for its age.",
    )

    @property
    def proof(self) -> Proof:
        """``proof_file`` as such."""
        return Proof(self.proof_file)
