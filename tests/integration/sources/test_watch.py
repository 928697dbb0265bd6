"""When each source is looked at: at its own pace, a file when it changes, and at once when a run asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rebalancer.ledger import sources
from rebalancer.ledger.session import Ledger
from rebalancer.sources.watch import SourceWatch
from tests.integration.sources.conftest import AFTER, BEFORE, Desk
from tests.world import until

BOTH = """
accounts:
  - {{account_id: DU1, type: paper, strategy_name: mine}}
  - {{account_id: DU2, type: paper, strategy_name: other}}
sources:
  mine: {{url: '{url}', every_minutes: {pace}}}
  other: {{file: targets.csv, every_minutes: 1440}}
"""


def configure(desk: Desk, pace: str) -> None:
    text = BOTH.format(url=f"{desk.server.url}/documents/mine", pace=pace)
    (desk.folder / "accounts.yaml").write_text(text, encoding="utf-8")


def versions(desk: Desk) -> dict[str, int]:
    with desk.ledger.begin() as session:
        return {name: view.version for name, view in sources.everything(session).items()}


def looking(watch: SourceWatch, condition: Callable[[], bool]) -> Callable[[], bool]:
    """As beat does it, until something has happened."""

    def looked() -> bool:
        watch.look()
        return condition()

    return looked


def test_a_server_that_hangs_makes_no_file_wait(desk: Desk) -> None:
    configure(desk, "0.01")
    desk.write(BEFORE)
    watch = desk.watch
    until(looking(watch, lambda: versions(desk) == {"mine": 1, "other": 1}))
    asked = desk.server.asked("mine")
    desk.publish(AFTER, delay_s=30)
    until(looking(watch, lambda: desk.server.asked("mine") > asked))
    desk.write(AFTER)
    until(looking(watch, lambda: versions(desk)["other"] == 2))
    assert versions(desk)["mine"] == 1


def test_a_source_is_asked_at_its_own_pace_or_when_a_run_asks(desk: Desk) -> None:
    configure(desk, "60")
    desk.write(BEFORE)
    watch = desk.watch
    until(looking(watch, lambda: versions(desk) == {"mine": 1, "other": 1}))
    desk.publish(AFTER)
    asked = desk.server.asked("mine")
    for _ in range(20):
        watch.look()
    assert desk.server.asked("mine") == asked
    with desk.ledger.begin() as session:
        sources.ask(session, desk.source)
    until(looking(watch, lambda: versions(desk)["mine"] == 2))


def test_an_edit_of_the_accounts_file_counts_at_once(desk: Desk) -> None:
    configure(desk, "60")
    desk.write(BEFORE)
    watch = desk.watch
    until(looking(watch, lambda: versions(desk) == {"mine": 1, "other": 1}))
    desk.server.publish_document("another", AFTER)
    text = BOTH.format(url=f"{desk.server.url}/documents/another", pace=60)
    (desk.folder / "accounts.yaml").write_text(text, encoding="utf-8")
    until(looking(watch, lambda: versions(desk)["mine"] == 2))


def test_a_file_that_vanishes_and_comes_back_is_told_to_nobody(desk: Desk) -> None:
    configure(desk, "60")
    path = desk.write(BEFORE)
    watch = desk.watch
    until(looking(watch, lambda: versions(desk) == {"mine": 1, "other": 1}))

    def failures() -> int:
        with desk.ledger.begin() as session:
            return sources.everything(session)["other"].failures

    path.rename(path.with_suffix(".away"))
    until(looking(watch, lambda: failures() == 1))
    path.with_suffix(".away").rename(path)
    until(looking(watch, lambda: failures() == 0))
    assert desk.notices() == []


@pytest.mark.parametrize("wrong", ["accounts: [", ""])
def test_a_file_that_cannot_be_read_stops_nothing(desk: Desk, wrong: str) -> None:
    watch = desk.watch
    until(looking(watch, lambda: versions(desk) == {"mine": 1}))
    good = (desk.folder / "accounts.yaml").read_text()
    (desk.folder / "accounts.yaml").write_text(wrong)
    watch.look()
    (desk.folder / "accounts.yaml").write_text(good)
    desk.publish(AFTER)
    with desk.ledger.begin() as session:
        sources.ask(session, desk.source)
    until(looking(watch, lambda: versions(desk) == {"mine": 2}))


def test_without_a_source_nobody_asks_the_ledger(desk: Desk) -> None:
    (desk.folder / "accounts.yaml").write_text("accounts: [{account_id: DU1, type: paper, strategy_name: a}]\n")
    nowhere = Ledger("postgresql+psycopg2://postgres@127.0.0.1:1/x")
    SourceWatch(desk.settings, nowhere, desk.services.accounts).look()
