"""What the ledger refuses: only the message's own fault quarantines it, and it keeps nobody else waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from rebalancer.ledger.channel_log import ChannelHealth
from rebalancer.ledger.session import Ledger
from tests.integration.listener.harness import CHANNEL, REBALANCE, Here, Play, Told, account

EQUITY = {"exec": "print-equity"}

POISON = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.payload::text LIKE '%poison%' THEN RAISE EXCEPTION 'cannot be held' USING ERRCODE = '22P05'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE INSERT ON signals FOR EACH ROW EXECUTE FUNCTION poison()
"""


@contextmanager
def altered(ledger: Ledger, there: str, back: str) -> Iterator[None]:
    """A ledger that is not as the program expects it."""
    with ledger.begin() as session:
        session.execute(text(there))
    try:
        yield
    finally:
        with ledger.begin() as session:
            session.execute(text(back))


def test_a_ledger_one_migration_behind_costs_no_signal(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """Known by its id it would never be followed, had it been quarantined."""
    printed = Told()

    async def scenario(here: Here) -> None:
        async with here.listening():
            there, back = (f"ALTER TABLE events RENAME COLUMN {names}" for names in ("refusals TO x", "x TO refusals"))
            with altered(here.ledger, there, back):
                ids = here.publish(REBALANCE, EQUITY)
                await here.until(lambda: printed(capsys).count("ledger_refuses") >= 2)
                assert here.signals() == []
            await here.recorded(*ids)
        assert here.ids() == ids
        assert {row.state for row in here.signals()} == {"accepted"}
        assert sorted({row.command for row in here.events()}) == ["print-equity", "rebalance"]

    play(scenario)


def test_a_channel_that_the_ledger_refuses_keeps_no_other_waiting(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = Told()

    async def scenario(here: Here) -> None:
        here.write_accounts(account(1), account(2, "second"))
        refusal = f"ADD CONSTRAINT x CHECK (channel <> '{CHANNEL}') NOT VALID"
        async with here.listening(wait=False):
            await here.until(lambda: here.hears(CHANNEL, "second"))
            with altered(here.ledger, f"ALTER TABLE signals {refusal}", "ALTER TABLE signals DROP CONSTRAINT x"):
                mine = here.publish(EQUITY)
                await here.until(lambda: "ledger_refuses" in printed(capsys))
                mine += here.publish(REBALANCE)
                for _ in range(3):
                    theirs = here.publish(EQUITY, channel="second")
                    await here.until(lambda ids=theirs: set(ids) <= set(here.ids("second")))
                heard = here.channel().heard_until
                await here.until(lambda: here.channel("second").heard_until > heard)
                assert (here.signals(), here.channel().heard_until) == ([], heard)
            await here.recorded(*mine)
            await here.until(lambda: here.channel().heard_until > heard)
        assert here.ids() == mine, "in the order in which they came"

    play(scenario)


def test_a_message_that_no_ledger_could_hold_is_quarantined_and_the_others_are_not(play: Play) -> None:
    async def scenario(here: Here) -> None:
        drop = "DROP TRIGGER poison ON signals; DROP FUNCTION poison"
        with altered(here.ledger, POISON, drop):
            async with here.listening():
                ids = here.publish(EQUITY, {"exec": "poison"}, REBALANCE)
                await here.recorded(*ids)
        assert [(row.state, row.payload) for row in here.signals()] == [
            ("accepted", EQUITY),
            ("quarantined", None),
            ("accepted", REBALANCE),
        ]

    play(scenario)


def test_foreign_text_with_nul_and_broken_characters_hurts_nobody(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening() as listener:
            listener._recorder.put(ChannelHealth(CHANNEL, None, None, "AblyException: x\0y \ud800"))
            await here.until(lambda: here.channel().trouble)
            assert here.channel().trouble == "AblyException: x\ufffdy \ufffd"
            await here.recorded(*here.publish(REBALANCE))

    play(scenario)
