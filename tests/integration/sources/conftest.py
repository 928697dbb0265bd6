"""A watch over sources, with a real ledger and a server that publishes tables."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from rebalancer.config.settings import Settings
from rebalancer.domain.sources import Source
from rebalancer.ledger import sources
from rebalancer.ledger.models import Event, NoticeRow, Signal
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.sources import Found, SourceView
from rebalancer.services import Services
from rebalancer.sources.watch import SourceWatch
from sandbox.allocations.server import AllocationsServer

BEFORE = "Symbol,Weight\nSPY,60%\nAGG,40%\n"
AFTER = "Symbol,Weight\nSPY,50%\nAGG,50%\n"
SECRET = "0123456789abcdef"
ACCOUNTS = """
accounts:
  - {account_id: DU1, type: paper, strategy_name: mine}
  - {account_id: DU2, type: paper, strategy_name: mine}
  - {account_id: DU3, type: paper, strategy_name: other}
"""


@dataclass
class Desk:
    """Everything that looks at the source of the strategy ``mine``."""

    folder: Path
    ledger: Ledger
    server: AllocationsServer
    settings: Settings

    @property
    def services(self) -> Services:
        return Services.of(self.settings)

    @property
    def watch(self) -> SourceWatch:
        """Another one each time, as of another process."""
        return SourceWatch(self.settings, self.ledger, self.services.accounts)

    @property
    def source(self) -> Source:
        return self.services.accounts().sources["mine"]

    def configure(self, entry: str) -> None:
        """Write the accounts file anew."""
        (self.folder / "accounts.yaml").write_text(f"{ACCOUNTS}sources:\n  mine: {entry}\n", encoding="utf-8")

    def write(self, text: str, name: str = "targets.csv") -> Path:
        """A file that was written a while ago."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        a_while_ago = time.time() - 60
        os.utime(path, (a_while_ago, a_while_ago))
        return path

    def publish(self, body: str, **options: Any) -> None:
        """What the server has from now on."""
        self.server.publish_document("mine", body, **options)

    def look(self) -> Found | None:
        return self.watch.look_at(self.source)

    @property
    def known(self) -> SourceView:
        with self.ledger.begin() as session:
            found = sources.known(session, "mine")
        assert found is not None
        return found

    def signals(self) -> list[Signal]:
        with self.ledger.begin() as session:
            found = [*session.scalars(select(Signal).order_by(Signal.id))]
            session.expunge_all()
        return found

    def events(self) -> list[str]:
        with self.ledger.begin() as session:
            return [*session.scalars(select(Event.account_id).order_by(Event.account_id))]

    def notices(self) -> list[tuple[str, str]]:
        """Kind and reason, in order."""
        with self.ledger.begin() as session:
            rows = session.scalars(select(NoticeRow).order_by(NoticeRow.id))
            return [(row.kind, row.detail.get("reason", "")) for row in rows]


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Iterator[Desk]:
    with AllocationsServer() as server:
        settings = Settings.from_flat(
            {
                "database_url": ledger.url,
                "accounts_file": tmp_path / "accounts.yaml",
                "allocations_base_url": server.url,
                "allocations_api_key": "sandbox",
                "allocations_timeout_s": 2,
            }
        )
        made = Desk(tmp_path, ledger, server, settings)
        made.configure(f"{{url: '{server.url}/documents/mine'}}")
        made.publish(BEFORE)
        yield made
