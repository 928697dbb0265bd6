"""A broker's books of one account, the ledger beside them, and a Flex service over the books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from rebalancer.config.settings import Settings
from rebalancer.domain.orders import CommissionReport, Fill
from rebalancer.domain.portfolio import FeeSchedule, Side
from rebalancer.flex.decoding import decode
from rebalancer.flex.watch import StatementWatch
from rebalancer.flex.xml import root_of
from rebalancer.ledger import account_snapshots, flex_queries, halts, orders, statements
from rebalancer.ledger.flex_queries import QueryView
from rebalancer.ledger.models import FillRow, FlexQueryRow, NoticeRow, Order
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.statements import StatementView, Taken
from rebalancer.services import Services
from sandbox.flex.knobs import Knobs
from sandbox.flex.server import FlexServer, FlexService
from sandbox.gateway.exchange_accounts import AccountState, Payment
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Executed, Execution, Split
from sandbox.gateway.memory import Memory
from sandbox.gateway.opening import hand_ticket
from sandbox.gateway.scenario import Instrument, OpenOrder, load_scenario
from tests.ledger_rows import add_event

ACCOUNT = "DU1"
TOKEN = "0123456789"
QUERY = "1"
MONDAY = datetime(2025, 3, 3, 15, tzinfo=UTC)
START = Decimal(100_000)
DAY = timedelta(days=1)
ACCOUNTS = "accounts:\n  - {account_id: DU1, type: paper, strategy_name: mine}\n"
SETUP = load_scenario("default")
PAIRS = {
    name: Instrument(
        con_id=number,
        name=name,
        price=Decimal(price),
        symbol=name[:3],
        security_type="CASH",
        currency=name[4:],
        exchange="IDEALPRO",
    )
    for number, (name, price) in enumerate({"EUR.USD": "1.25", "USD.CHF": "0.8"}.items(), start=1)
}
INSTRUMENTS = {**SETUP.instruments, **PAIRS}
EUROS = Decimal(40_000)


def books(currency: str = "USD", **more: Decimal) -> Book:
    """A broker's, of one account that is kept in that currency; ``more``: cash besides the dollars."""
    account = AccountState(ACCOUNT, "INDIVIDUAL", True, START, base_currency=currency, other_cash=more)
    return Book(Memory((account,)), FeeSchedule(), {"EUR": Decimal("1.25"), "CHF": Decimal("1.25")})


@dataclass
class Desk:
    """What happens to one account, at the broker and on record."""

    folder: Path
    ledger: Ledger
    now: datetime = MONDAY
    knobs: Knobs = field(default_factory=lambda: Knobs(per_minute=None))
    book: Book = field(default_factory=books)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    accounts: str = ACCOUNTS
    server: FlexServer = field(init=False)
    event: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.service = FlexService(self.book.memory, INSTRUMENTS, TOKEN, self.knobs, lambda: self.now)
        self.server = FlexServer(self.service)
        with self.ledger.begin() as session:
            self.event = add_event(session, ACCOUNT, state="succeeded", finished_at=MONDAY)

    def trade(self, symbol: str, quantity: int, price: str, *, ref: str = "") -> Execution:
        """A trade at the broker; without a ref one by hand."""
        side, at = ("BUY" if quantity > 0 else "SELL"), Decimal(price)
        wish = OpenOrder(symbol=symbol, side=side, quantity=Decimal(abs(quantity)), limit_price=at, order_ref=ref)
        ticket = hand_ticket(ACCOUNT, wish, INSTRUMENTS[symbol])
        order = self.book.add((7, next(self.numbers)), ticket, symbol, at, self.now)
        (told, *_) = self.book.fill(order.perm_id, Decimal(abs(quantity)), at, self.now)
        assert isinstance(told, Executed)
        return told.execution

    def ours(self, symbol: str, quantity: int, price: str, *, told: bool = True, paid: bool = True) -> Execution:
        """A trade of an order of ours; what the gateway tells of it goes on record."""
        ref = f"{self.event.hex[:12]}-1-{next(self.numbers) + 9:02d}"
        with self.ledger.begin() as session:
            session.add(self._order(ref, symbol, quantity, price))
        execution = self.trade(symbol, quantity, price, ref=ref)
        charged = execution.commission, execution.commission_currency
        reports = [fill_of(execution), CommissionReport(execution.execution_id, *charged)]
        with self.ledger.begin() as session:
            if told:
                orders.record_updates(session, reports[: 2 if paid else 1])
                orders.finalize(session, [ref])
            else:
                orders.record_missing(session, [ref], self.now + DAY)
        return execution

    def pay(self, kind: str, amount: str, symbol: str = "", currency: str = "USD") -> None:
        self.book.pay(ACCOUNT, Payment({currency: Decimal(amount)}, kind=kind, symbol=symbol), self.now)

    def split(self, symbol: str, ratio: str) -> None:
        split = Split(symbol, Decimal(ratio), self.now)
        self.book.announce(split)
        self.book.book_split(split, Decimal(50), self.now)

    def look_at_account(self, shares: dict[str, str], cash: str, euros: str | None = None) -> None:
        """What a run has seen; ``euros``: of an account that is kept in them."""
        with self.ledger.begin() as session:
            account_snapshots.keep(
                session,
                account_id=ACCOUNT,
                event_id=self.event,
                attempt=1,
                moment="after",
                at=self.now,
                net_liquidation=START,
                cash=Decimal(cash),
                base=None if euros is None else {"currency": "EUR", "rate": "0.8", "cash": euros},
                positions=[{"symbol": name, "quantity": held, "price": "1"} for name, held in shares.items()],
            )

    def night(self, *, halting: bool = False) -> StatementView:
        """The day ends, and its statement is compared; the next trading day begins."""
        self.now += DAY
        reference = self.service.request(TOKEN, QUERY)
        (statement,) = decode(root_of(self.service.statement(TOKEN, reference)))
        with self.ledger.begin() as session:
            assert statements.take(session, statement, QUERY, halting=halting) is Taken.NEW
        while self.now.weekday() > 4:
            self.now += DAY
        return self.newest

    @property
    def newest(self) -> StatementView:
        with self.ledger.begin() as session:
            found = statements.newest(session, ACCOUNT)
        assert found is not None
        return found

    def settings(self, **more: object) -> Settings:
        (self.folder / "accounts.yaml").write_text(self.accounts, encoding="utf-8")
        return Settings.from_flat(
            {
                "database_url": self.ledger.url,
                "accounts_file": self.folder / "accounts.yaml",
                "flex_token": TOKEN,
                "flex_query_id": QUERY,
                "flex_base_url": self.server.url,
            }
            | more
        )

    def watch(self, **more: object) -> StatementWatch:
        """Another one each time, as of another process."""
        settings = self.settings(**more)
        return StatementWatch(settings, self.ledger, Services.of(settings).accounts)

    def look(self, **more: object) -> None:
        """One question, as if its time had come."""
        with self.ledger.begin() as session:
            session.execute(update(FlexQueryRow).values(due_at=MONDAY))
        self.watch(**more).look()

    @property
    def query(self) -> QueryView:
        with self.ledger.begin() as session:
            return flex_queries.everything(session, [QUERY])[QUERY]

    def notices(self) -> list[tuple[str, str]]:
        """Kind and reason, in order."""
        with self.ledger.begin() as session:
            rows = session.scalars(select(NoticeRow).order_by(NoticeRow.id))
            return [(row.kind, row.detail.get("reason", "")) for row in rows]

    def halts(self) -> list[str]:
        with self.ledger.begin() as session:
            return [one.reason for one in halts.in_force(session, ACCOUNT)]

    def fills(self) -> list[FillRow]:
        with self.ledger.begin() as session:
            found = [*session.scalars(select(FillRow).order_by(FillRow.at))]
            session.expunge_all()
        return found

    def _order(self, ref: str, symbol: str, quantity: int, price: str) -> Order:
        return Order(
            order_ref=ref,
            event_id=self.event,
            attempt=1,
            account_id=ACCOUNT,
            symbol=symbol,
            contract_id=INSTRUMENTS[symbol].con_id,
            security_type=INSTRUMENTS[symbol].security_type,
            side="BUY" if quantity > 0 else "SELL",
            quantity=abs(quantity),
            order_type="MKT",
            time_in_force="DAY",
            planned_price=Decimal(price),
            planned_fee=Decimal(1),
            reason="below its target",
            status="Submitted",
            perm_id=77,
            created_at=self.now,
        )


def fill_of(execution: Execution) -> Fill:
    """What the gateway tells of a trade."""
    order = execution.order
    return Fill(
        order_ref=order.ticket.order_ref,
        execution_id=execution.execution_id,
        at=execution.at,
        account_id=ACCOUNT,
        symbol=order.symbol,
        side=Side(order.side),
        quantity=execution.quantity,
        price=execution.price,
        cumulative_quantity=execution.cumulative,
        perm_id=order.perm_id,
    )


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Iterator[Desk]:
    made = Desk(tmp_path, ledger)
    with made.server:
        yield made


@pytest.fixture
def euros(tmp_path: Path, ledger: Ledger) -> Iterator[Desk]:
    """The same of an account that is kept in euros."""
    made = Desk(tmp_path, ledger, book=books("EUR", EUR=EUROS))
    with made.server:
        yield made
