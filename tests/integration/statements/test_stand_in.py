"""The stand-in over the files in which gateways keep their books, and the part of beat that asks."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.flex.decoding import decode
from rebalancer.flex.xml import root_of
from rebalancer.services import Services
from sandbox.flex.knobs import Knobs
from sandbox.flex.server import of_files
from sandbox.gateway.exchange_accounts import Payment
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.memory import BookFile
from sandbox.gateway.opening import opening
from sandbox.gateway.run import of_login
from sandbox.gateway.scenario import SCENARIOS
from tasks.beat import statement_parts
from tests.integration.statements.conftest import QUERY, SETUP, TOKEN, Desk

FILE = SCENARIOS / "default.yaml"


def test_two_gateways_books_are_one_brokers_statement(tmp_path: Path) -> None:
    """And what no gateway has kept yet is as the scenario begins it."""
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, account in zip(paths, ("DU1000001", "DU1000002"), strict=True):
        book = Book(opening(of_login(SETUP, [account])), FeeSchedule())
        book.pay(account, Payment({"USD": Decimal(7)}, kind="Dividends"), datetime.now(UTC))
        BookFile(path).keep(book.memory())
    knobs = Knobs(through="today", per_minute=None)
    service = of_files(FILE, [*paths, tmp_path / "none.json"], TOKEN, knobs)
    found = {one.account_id: one for one in decode(root_of(service.statement(TOKEN, service.request(TOKEN, QUERY))))}
    assert found.keys() == SETUP.accounts.keys()
    for account, had in SETUP.accounts.items():
        paid = 7 if account in ("DU1000001", "DU1000002") else 0
        assert found[account].closing.cash.get("USD", 0) == had.cash + paid
        assert found[account].closing.shares == {symbol: held.quantity for symbol, held in had.positions.items()}


def test_a_statement_of_yesterday_has_nothing_of_today(desk: Desk) -> None:
    desk.trade("SPY", 10, "600.00")
    desk.pay("Dividends", "5.00")
    (yesterday,) = decode(root_of(desk.service.statement(TOKEN, desk.service.request(TOKEN, QUERY))))
    assert (yesterday.closing.cash, yesterday.closing.shares) == ({"USD": 100_000}, {})
    assert (yesterday.trades, yesterday.entries) == ((), ())


def test_beat_asks_for_statements_only_where_there_is_a_query(desk: Desk) -> None:
    on = Services.of(desk.settings())
    off = Services.of(desk.settings(flex_token=None, flex_query_id=None))
    assert [part.name for part in statement_parts(on)] == ["statements"]
    assert statement_parts(off) == ()
