"""One trial of `make chaos`, with what strikes hardest: it plays, and the money comes out right."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.chaos.playing import Ground
from sandbox.chaos.story import Begin, End, tell
from sandbox.chaos.strikes import STRIKES
from sandbox.forked.ledgers import new_ledger

KINDS = ("worker killed", "gateway restarted", "executions late", "Redis flushed", "PostgreSQL connections cut")


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("DATABASE_URL", "REDIS_URL", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    with new_ledger() as cluster:
        yield cluster


def test_the_money_comes_out_right_whatever_fails(ledger: Path) -> None:
    played = Ground(ledger).play(1, tell(1, KINDS))
    shutil.rmtree(played.folder)
    assert {step.kind for step in played.story.steps if isinstance(step, Begin)} == set(KINDS)
    assert played.outcome.orders > 0
    assert played.sound, played.outcome.findings


def test_a_product_that_sends_before_it_writes_is_seen(ledger: Path) -> None:
    played = Ground(ledger).play(1, tell(1, ("commissions dropped",), "intent after the send"))
    shutil.rmtree(played.folder)
    assert any("before its intent" in finding for finding in played.outcome.findings)


def test_a_story_is_the_same_for_the_same_seed_and_each_of_its_shorter_ones_has_less() -> None:
    story = tell(7)
    assert story == tell(7)
    assert story != tell(8)
    assert {step.kind for step in story.steps if isinstance(step, Begin)} <= set(STRIKES)
    shorter = list(story.shorter())
    assert len(shorter) == sum(not isinstance(step, End) for step in story.steps)
    assert all(len(one.steps) < len(story.steps) for one in shorter)
