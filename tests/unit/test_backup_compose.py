"""The Compose file for backups is as confined as the main one, and fits it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.test_compose import COMPOSE, ROOT, SERVICES, _of_service

FILE: dict[str, Any] = yaml.safe_load((ROOT / "docker/backup.yaml").read_text(encoding="utf-8"))
COPIES: dict[str, dict[str, Any]] = FILE["services"]


@pytest.mark.parametrize("name", COPIES)
def test_it_is_confined_like_a_migration(name: str) -> None:
    """It ends too, so that it is asked for neither a restart nor a health check."""
    assert list(_of_service("migrate", COPIES[name])) == []
    assert COPIES[name]["networks"] == SERVICES["migrate"]["networks"]
    assert COPIES[name]["image"] == SERVICES["migrate"]["image"]
    assert set(COPIES[name]["profiles"]) == set(SERVICES["migrate"]["profiles"])
    assert set(COPIES[name]["secrets"]) <= COMPOSE["secrets"].keys() | FILE["secrets"].keys()


def test_only_a_restore_is_the_owner_of_the_tables() -> None:
    """What runs each night by itself reads as the application does."""
    assert "owner@" not in str(COPIES["backup"])
    assert set(COPIES["backup"]["secrets"]) == {"database-password", "backup-key"}
    for name in ("DATABASE_URL", "DATABASE_PASSWORD_FILE"):
        assert COPIES["restore"]["environment"][name] == SERVICES["migrate"]["environment"][name]


def test_the_key_of_the_backups_is_nowhere_else() -> None:
    assert "backup-key" not in str(COMPOSE)
