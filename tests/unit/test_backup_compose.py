"""The Compose file for backups is as confined as the main one, and fits it."""

from __future__ import annotations

from typing import Any

import yaml

from tests.unit.test_compose import COMPOSE, ROOT, SERVICES, _of_service

BACKUP: dict[str, Any] = yaml.safe_load((ROOT / "docker/backup.yaml").read_text(encoding="utf-8"))["services"]["backup"]


def test_it_is_confined_like_a_migration() -> None:
    """It ends too, so that it is asked for neither a restart nor a health check."""
    assert list(_of_service("migrate", BACKUP)) == []


def test_it_reaches_the_database_as_its_owner_and_nothing_else() -> None:
    migrate = SERVICES["migrate"]
    for name in ("DATABASE_URL", "DATABASE_PASSWORD_FILE"):
        assert BACKUP["environment"][name] == migrate["environment"][name]
    assert BACKUP["networks"] == migrate["networks"]
    assert set(BACKUP["secrets"]) <= COMPOSE["secrets"].keys()
    assert set(BACKUP["profiles"]) == set(migrate["profiles"])


def test_its_image_is_the_products_and_ends_as_nobody() -> None:
    text = (ROOT / BACKUP["build"]["context"] / "Dockerfile").read_text(encoding="utf-8")
    assert f"ARG PRODUCT_IMAGE={SERVICES['migrate']['image']}\n" in text
    assert text.rstrip().endswith("USER 10001:10001")
