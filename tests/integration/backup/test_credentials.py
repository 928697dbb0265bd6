"""What was revoked stays revoked, also for a backup of before."""

from __future__ import annotations

from pathlib import Path

from rebalancer.domain.scopes import EVERYTHING, Scope
from rebalancer.ledger import credentials
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer, running_postgres
from tests.integration.backup.test_restore import command


def test_no_key_or_session_of_a_backup_opens_the_restored_ledger(
    ledger: Ledger, postgres: RunningServer, tmp_path: Path
) -> None:
    with ledger.begin() as session:
        key = credentials.make_key(session, "robot", [Scope.TRADE], "tests")
        opened = credentials.open_session(session, "owner", EVERYTHING, None, credentials.KEPT)
    assert key is not None
    command(postgres.url, "backup", str(file := tmp_path / "x.dump"))
    with running_postgres(tmp_path / "other") as empty:
        command(empty.url, "restore", str(file))
        with (restored := Ledger(empty.url)).begin() as session:
            assert credentials.in_force(session) == []
            assert credentials.find(session, credentials.CredentialKind.KEY, key) is None
            assert credentials.find(session, credentials.CredentialKind.SESSION, opened.token) is None
            assert credentials.make_key(session, "robot", [Scope.READ], "tests") is not None
        restored.close()
