"""One trial of `make chaos`, with what strikes hardest: it plays, and the money comes out right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.chaos.playing import Ground
from sandbox.chaos.story import Begin, End, tell
from sandbox.chaos.strikes import STRIKES
from sandbox.forked.ledgers import new_ledger

KINDS = ("worker killed", "gateway restarted", "executions late", "Redis flushed", "PostgreSQL connections cut")


@pytest.fixture(scope="module")
def new() -> Iterator[Path]:
    with new_ledger() as cluster:
        yield cluster


@pytest.fixture
def ledger(new: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each trial has a copy of it."""
    for name in ("DATABASE_URL", "REDIS_URL", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    return new


def test_the_money_comes_out_right_whatever_fails(ledger: Path) -> None:
    played = Ground(ledger).play(1, tell(1, KINDS))
    shutil.rmtree(played.folder)
    assert {step.kind for step in played.story.steps if isinstance(step, Begin)} == set(KINDS)
    assert played.outcome.orders > 0
    assert played.sound, played.outcome.findings


def test_a_split_comes_when_nobody_trades_the_stock_and_runs_go_on_around_it(ledger: Path) -> None:
    """VNQ, no target, is split; its holder trades other things before the last close follows, and sells it afterwards.
    What it left alone binds no reserve. On a machine that does much else the close comes before those trades: that says
    nothing, and is played again.
    """
    traded = (_trades_around_a_split(ledger) for _ in range(PLAYED_AT_MOST))
    assert any(traded), "its holder traded nothing meanwhile, however often"


PLAYED_AT_MOST = 3


def _trades_around_a_split(ledger: Path) -> bool:
    """Whether its holder has traded other things meanwhile."""
    played = Ground(ledger).play(164, tell(164, ("a split",)))
    changes = [json.loads(line) for line in next(played.folder.rglob("books.json")).read_text().splitlines()]
    shutil.rmtree(played.folder)
    assert played.sound, played.outcome.findings
    [split] = changes[-1]["splits"]
    holder = next(one["account_id"] for one in changes[0]["accounts"] if split["symbol"] in one["holdings"])
    trades = [(one["order"]["ticket"], one["at"]) for change in changes for one in change["executions"]]
    own = [(ticket["contract"]["symbol"], at) for ticket, at in trades if ticket["account"] == holder]
    assert min(at for symbol, at in own if symbol == split["symbol"]) > split["close_at"]
    return any(split["announced_at"] < at < split["close_at"] for _, at in own)


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


def test_the_money_of_two_logins_comes_out_right_whatever_fails(ledger: Path) -> None:
    """Of the first alone its gateway and workers are killed; what is told to a gateway is told to both."""
    kinds = ("gateway killed", "worker killed", "PostgreSQL connections cut", "gateway reset", "Redis flushed")
    played = Ground(ledger).play(5, tell(5, kinds))
    (log,) = played.folder.rglob("worker-partner.log")
    told = log.read_text()
    shutil.rmtree(played.folder)
    assert played.story.cast.partners
    assert '"run_ended"' in told
    assert not any(account in told for account in ("DU3000001", "DU3000003", "DU3000004"))
    assert played.sound, played.outcome.findings
