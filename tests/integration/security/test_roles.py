"""The application works as a role that owns nothing, and PostgreSQL refuses it everything else."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import text
from typer.testing import CliRunner

from api.app import create_app
from rebalancer.backup import make_backup
from rebalancer.cli.main import app
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import ConfigurationError, RecordUnavailable
from rebalancer.ledger import channel_log
from rebalancer.ledger.admin import retention, roles
from rebalancer.ledger.channel_log import Arrival, CaughtUp, ChannelHealth
from rebalancer.ledger.models import Base
from rebalancer.ledger.session import Ledger
from rebalancer.operations import halts_and_approvals
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.backup_keys import SEALING
from tests.conftest import empty
from tests.ledger_rows import NOON, STRATEGY, add_traded, add_waiting, seeded
from tests.serving import serving
from tests.world import KEY, STRANGER, World, held, until, world

ROLE = "rebalancer app's"  # PostgreSQL's quoting is needed
PASSWORD = "100%s 'quoted' \\ {password}"


@pytest.fixture(scope="module")
def restricted(postgres: RunningServer) -> Iterator[Ledger]:
    """The ledger as the application's role sees it."""
    owner = Ledger(postgres.url)
    empty(owner)
    with owner.begin() as session:
        assert roles.grant(session, ROLE, PASSWORD)
        assert not roles.grant(session, ROLE), "it may be repeated"
    ledger = Ledger(postgres.url.replace("//postgres@", "//rebalancer%20app's@"))
    yield ledger
    ledger.close()
    with owner.begin() as session:
        session.execute(text(f'DROP OWNED BY "{ROLE}"'))
        session.execute(text(f'DROP ROLE "{ROLE}"'))
    owner.close()


@pytest.fixture
def here(tmp_path: Path, ledger: Ledger, restricted: Ledger, redis_server: RunningServer) -> Iterator[World]:
    """A world in which everything is connected as the restricted role."""
    del ledger  # emptied
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path, restricted, redis_server.url) as made:
        yield made


def test_the_application_trades_retries_and_cleans_up(here: World) -> None:
    failing = here.submit(STRANGER, Command.PRINT_EQUITY)
    event_id = here.submit("DU1000001", Command.REBALANCE)
    here.start_worker()
    here.start_beat()
    report = here.finish(event_id)
    assert report.orders > 0
    assert held(here, "DU1000001")
    until(lambda: here.event(failing).state == "retrying")
    with serving(create_app(here.settings)) as client:
        signed = {"Authorization": f"Bearer {KEY}"}
        assert client.post("/halts", headers=signed, json={"reason": "by the test"}).is_success
        assert client.get("/audit", headers=signed).json()
        assert client.delete(f"/queue/events/{failing}", headers=signed).is_success
    until(lambda: here.event(failing).state == "removed")
    assert '"ledger_unavailable"' not in here.logs()


def test_the_listeners_side_and_the_retention_work(here: World) -> None:
    now = datetime.now(UTC)
    with here.ledger.begin() as session:
        channel_log.follow(session, STRATEGY, now)
        items = (
            Arrival(STRATEGY, "m1", now, Command.REBALANCE, {}, None),
            CaughtUp(STRATEGY, now, now, timedelta(minutes=2)),
            ChannelHealth(STRATEGY, now, now, None),
        )
        assert channel_log.write(session, items, {}).recorded
        channel_log.leave(session, STRATEGY)
        old = add_traded(session, at=NOON - timedelta(days=900))
        add_traded(session, at=NOON)
    with here.ledger.begin() as session:
        assert retention.clean_up(session, timedelta(days=30)) == 2, "an event and its signal"
        assert not session.scalar(
            text("SELECT count(*) FROM order_reports WHERE order_ref LIKE :ref"), {"ref": f"{old.hex[:12]}%"}
        )


def test_people_decide(here: World) -> None:
    with here.ledger.begin() as session:
        waiting = add_waiting(session, "DU1000001")
    services = Services.of(here.settings)
    assert halts_and_approvals.halt(services, None, "test", getpass.getuser())
    halts_and_approvals.reject(services, waiting, "test")
    assert halts_and_approvals.resume(services, None, "test") == 0


REFUSED = {
    "a new table": "CREATE TABLE mine (id int)",
    "a temporary table": "CREATE TEMPORARY TABLE mine (id int)",
    "a schema": "CREATE SCHEMA mine",
    "a changed table": "ALTER TABLE events ADD COLUMN mine int",
    "a dropped table": "DROP TABLE fills",
    "an emptied table": "TRUNCATE signals CASCADE",
    "a trigger": "CREATE TRIGGER t BEFORE INSERT ON events EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "another audit": "UPDATE audit SET actor = 'somebody else'",
    "a shorter audit": "DELETE FROM audit",
    "another report": "UPDATE order_reports SET status = 'Filled'",
    "another version": "UPDATE alembic_version SET version_num = '0001'",
    "a role": "CREATE ROLE mine",
    "the server's files": "COPY events TO '/tmp/events'",
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused(restricted: Ledger, statement: str) -> None:
    with pytest.raises(RecordUnavailable, match=r"permission denied|must be owner"), restricted.begin() as session:
        session.execute(text(statement))


def test_the_application_may_make_backups(restricted: Ledger, tmp_path: Path) -> None:
    with restricted.begin() as session:
        add_waiting(session, "DU1000001")
    assert make_backup(restricted.url, tmp_path, datetime.now(UTC), SEALING).rows > 0


def test_every_table_of_the_ledger_is_thought_of() -> None:
    assert set(roles.privileges()) == {*Base.metadata.tables, roles.VERSIONS}


def test_the_owner_is_no_role_of_the_application(ledger: Ledger) -> None:
    with pytest.raises(ConfigurationError, match="name another role"), ledger.begin() as session:
        roles.grant(session, "postgres")


def test_the_command_reads_the_password_from_a_file(
    postgres: RunningServer, restricted: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded(restricted)
    monkeypatch.setenv("ENV_FILE", os.devnull)
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    secret = tmp_path / "password"
    secret.write_text("")
    refused = CliRunner().invoke(app, ["grant", ROLE, "--password-file", str(secret)])
    assert isinstance(refused.exception, ConfigurationError)
    secret.write_text(f"{PASSWORD}\n")
    done = CliRunner().invoke(app, ["grant", ROLE, "--password-file", str(secret)])
    assert (done.exit_code, "may read and write rows" in done.stdout) == (0, True), done.output
