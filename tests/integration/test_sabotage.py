"""Each broken variant of the product finds the parts that it replaces."""

from __future__ import annotations

import os

import pytest

from sandbox.chaos.sabotage.patching import instead
from sandbox.chaos.sabotage.registry import BROKEN
from sandbox.chaos.strikes import STRIKES
from tests.programs import completed

ENVIRONMENT = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_variant_finds_what_it_breaks(name: str) -> None:
    ended = completed(("-m", "sandbox.chaos.sabotage", name, "platform"), ENVIRONMENT)
    assert ended.returncode == 0, ended.stderr
    assert set(BROKEN[name].kinds) <= set(STRIKES)


@pytest.mark.parametrize("place", ["rebalancer.ledger.run:Run.gone", "rebalancer.gone:Run", "tasks.base:Gone.retry"])
def test_a_part_that_is_gone_is_told(place: str) -> None:
    with pytest.raises((AttributeError, ModuleNotFoundError), match=r"(?i)gone"):
        instead(place, None).apply()
