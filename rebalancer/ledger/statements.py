"""Statements on record: what the ledger says of their days, and what became of comparing both, in one transaction with
whatever follows from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import Text, and_, cast, delete, exists, func, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from rebalancer.domain.currencies import USD
from rebalancer.domain.money import ZERO
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.orders import CommissionReport, Fill, split_execution_id
from rebalancer.domain.portfolio import Side
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.ledger import closed_lots, fills, halts, orders, outbox
from rebalancer.ledger.models import FillRow, Order, SnapshotRow, StatementRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.unreported_fills import told, untold
from rebalancer.statements.content import (
    Amounts,
    BookedFill,
    BookedOrder,
    Books,
    Difference,
    Holdings,
    Kind,
    Proof,
    Start,
    Statement,
    Trade,
)
from rebalancer.statements.proof import prove

BY = "statement of the broker"
"""Who halts an account whose statement has what nothing explains."""
ONE_DAY = timedelta(days=1)
NEWEST = 10
"""Statements before, of which one is the start."""
MARK = 16
"""Digits of a digest that tell one statement of a day from another."""


class Taken(StrEnum):
    """What a statement was."""

    NEW = "new"
    KNOWN = "known"
    """The very same is on record."""
    OLD = "old"
    """A later day's is on record."""


def take(session: Session, statement: Statement, query_id: str, *, halting: bool) -> Taken:
    """Compare a statement with the ledger and put on record what was found, and what the ledger lacked.

    Args:
        halting: halt the account for what nothing explains.
    """
    outbox.take_turns(session, f"statement:{statement.account_id}")
    last = newest_day(session, statement.account_id)
    if last is not None and last > statement.last:
        return Taken.OLD
    mark = _digest(statement)
    known = session.get(StatementRow, (statement.account_id, statement.last))
    if known is not None and known.digest == mark:
        return Taken.KNOWN
    start = _start(session, statement)
    proof = prove(statement, _books(session, statement, start))
    if statement.last < trading_day(datetime.now(UTC)):  # what is still going on, the gateway will tell
        _fill_in(session, proof)
    closed_lots.keep(session, statement.closed_lots)
    session.merge(_row(proof, query_id, mark, start))
    _tell(session, proof, mark, halting=halting)
    return Taken.NEW


def compare(session: Session, statement: Statement, start: Start) -> Proof:
    """How a statement compares with the ledger; nothing goes on record."""
    return prove(statement, _books(session, statement, start))


def newest_day(session: Session, account_id: str) -> date | None:
    """The last day that a statement of the account is on record of."""
    return session.scalar(select(func.max(StatementRow.last)).where(StatementRow.account_id == account_id))


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement on record, and how it compares.

    Attributes:
        last: its day.
        compared_since: from where shares and cash were counted; ``None``: only fills could be compared.
        cash: USD; ``None`` where an early version did not say.
        other_cash: by currency, in it; ``None`` on an old record, which kept dollars alone.
        unexplained: how many of the differences nothing in the statement explains.
    """

    account_id: str
    last: date
    read_at: datetime
    compared_since: date | None
    cash: Decimal | None
    other_cash: Mapping[str, Decimal] | None
    positions: Mapping[str, Decimal]
    differences: tuple[Difference, ...]
    unexplained: int


def newest(session: Session, account_id: str) -> StatementView | None:
    """The account's last one."""
    return newest_of(session, [account_id]).get(account_id)


def newest_of(session: Session, account_ids: Collection[str]) -> dict[str, StatementView]:
    """The last one of each account that has any: one look into the index for each, however many days there are."""
    ids = func.unnest(cast(list(account_ids), ARRAY(Text))).table_valued("account_id", name="wanted").render_derived()
    last = (
        select(StatementRow)
        .where(StatementRow.account_id == ids.c.account_id)
        .order_by(StatementRow.last.desc())
        .limit(1)
    )
    of_each = last.lateral()
    chosen = select(aliased(StatementRow, of_each)).select_from(ids).join(of_each, true())
    return {row.account_id: _view(row) for row in session.scalars(chosen)}


def recent(session: Session, account_id: str | None, limit: int) -> list[StatementView]:
    """Newest first, of one account or of all."""
    chosen = select(StatementRow).order_by(StatementRow.last.desc(), StatementRow.account_id).limit(limit)
    if account_id is not None:
        chosen = chosen.where(StatementRow.account_id == account_id)
    return [_view(row) for row in session.scalars(chosen)]


def _view(row: StatementRow) -> StatementView:
    return StatementView(
        account_id=row.account_id,
        last=row.last,
        read_at=row.read_at,
        compared_since=row.compared_since,
        cash=row.cash,
        other_cash=None if row.other_cash is None else _decimals(row.other_cash.items()),
        positions=_decimals(row.positions.items()),
        differences=tuple(_read(one) for one in row.differences),
        unexplained=row.unexplained,
    )


def _read(record: Mapping[str, str]) -> Difference:
    quantity, cash = Decimal(record["quantity"]), Decimal(record["cash"])
    currency = record.get("currency", USD)
    return Difference(Kind(record["kind"]), record["text"], record["symbol"], quantity, cash, currency)


def _books(session: Session, statement: Statement, start: Start | None) -> Books:
    """What the ledger says by itself, without what statements have filled in."""
    since = day_start(min(statement.first, start.day) if start else statement.first)
    named = {split_execution_id(one.execution)[0] for one in statement.trades}
    rows = session.execute(
        select(FillRow, Order.contract_id)
        .join(Order, Order.order_ref == FillRow.order_ref)
        .where(
            FillRow.account_id == statement.account_id,
            ~FillRow.stated,
            or_(FillRow.at >= since, FillRow.execution.in_(named)),
        )
    ).all()
    booked = (BookedFill(fills.fill_of(row, contract), row.commission, row.currency or USD) for row, contract in rows)
    return Books(start, tuple(booked), {one.order_ref: one for one in _orders(session, statement)})


def forget(session: Session, before: date, limit: int) -> int:
    """Delete old statements, never an account's newest.

    Returns:
        How many went.
    """
    later = aliased(StatementRow)
    followed = exists().where(later.account_id == StatementRow.account_id, later.last > StatementRow.last)
    keys = select(StatementRow.account_id, StatementRow.last).where(StatementRow.last < before, followed).limit(limit)
    old = delete(StatementRow).where(tuple_(StatementRow.account_id, StatementRow.last).in_(keys))
    return len(session.scalars(old.returning(StatementRow.last)).all())


def _start(session: Session, statement: Statement) -> Start | None:
    """The statement before, or else the newest look at the account within this one's days. What was read while its day
    was not over, as the sandbox has it, says nothing of the rest of that day: it is no start.
    """
    earlier = (
        select(StatementRow)
        .where(StatementRow.account_id == statement.account_id, StatementRow.last < statement.last)
        .order_by(StatementRow.last.desc())
        .limit(NEWEST)
    )
    for before in session.scalars(earlier):
        if trading_day(before.read_at) > before.last:
            return Start(before.last, _closing(before))
    return _look(session, statement) if statement.stocks_only else None


def _closing(row: StatementRow) -> Holdings:
    """How a statement ended; of an old record dollars alone are known, if those are."""
    shares = _decimals(row.positions.items())
    dollars = {} if row.cash is None else {USD: row.cash}
    if row.other_cash is None:
        return Holdings(shares, dollars, frozenset(dollars))
    return Holdings(shares, dollars | _decimals(row.other_cash.items()))


def _look(session: Session, statement: Statement) -> Start | None:
    row = session.scalar(
        select(SnapshotRow)
        .where(
            SnapshotRow.account_id == statement.account_id,
            SnapshotRow.at >= day_start(statement.first),
            SnapshotRow.at < day_start(statement.last + ONE_DAY),
        )
        .order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    shares = _decimals((one["symbol"], one["quantity"]) for one in row.positions)
    return Start(trading_day(row.at), Holdings(shares, *_seen_cash(row, statement)), row.at)


def _seen_cash(row: SnapshotRow, statement: Statement) -> tuple[Amounts, frozenset[str]]:
    """Cash that a look has by currency, and which these are. What is owed in another currency it has taken off the
    dollars; then it says nothing of either.
    """
    seen = {USD: row.cash}
    if row.base is not None:
        seen[row.base["currency"]] = Decimal(row.base["cash"])
    owed = any(amount < 0 for currency, amount in seen.items() if currency != USD)
    if owed or statement.closing.cash.keys() - seen.keys():
        return {}, frozenset()
    return seen, frozenset(seen)


def _decimals(texts: Iterable[tuple[str, str]]) -> dict[str, Decimal]:
    return {symbol: Decimal(text) for symbol, text in texts if Decimal(text)}


def _orders(session: Session, statement: Statement) -> Iterator[BookedOrder]:
    """Those that the statement names, and those of its days whose executions were not all told."""
    named = {one.order_ref for one in statement.trades if one.order_ref}
    days = Order.created_at >= day_start(statement.first), Order.created_at < day_start(statement.last + ONE_DAY)
    lacking = and_(*days, or_(untold() > 0, Order.final_at.is_(None), Order.status.in_(orders.NOT_FOUND)))
    chosen = select(Order, Order.quantity - told()).where(
        Order.account_id == statement.account_id, or_(Order.order_ref.in_(named), lacking)
    )
    for order, open_shares in session.execute(chosen):
        day = trading_day(order.created_at)
        yield BookedOrder(order.order_ref, order.symbol, Side(order.side), day, Decimal(open_shares))


def _fill_in(session: Session, proof: Proof) -> None:
    """What the gateway did not tell in time goes on record, marked as known from here."""
    source = f"in the broker's statement of {proof.statement.last}"
    lost = [_fill(one, proof.statement.account_id) for one in proof.lost if one.quantity]
    charges = [CommissionReport(one.execution, one.commission, one.charged_in) for one in (*proof.lost, *proof.charged)]
    orders.record_stated(session, lost, charges, source)


def _fill(trade: Trade, account_id: str) -> Fill:
    return Fill(
        order_ref=trade.order_ref,
        execution_id=trade.execution,
        at=trade.at,
        account_id=account_id,
        symbol=trade.symbol,
        side=trade.side,
        quantity=abs(trade.quantity),
        price=trade.price,
        cumulative_quantity=abs(trade.quantity),
        perm_id=0,
    )


def _row(proof: Proof, query_id: str, mark: str, start: Start | None) -> StatementRow:
    closing = proof.statement.closing
    return StatementRow(
        account_id=proof.statement.account_id,
        last=proof.statement.last,
        query_id=query_id,
        read_at=func.now(),
        digest=mark,
        compared_since=start.day if start else None,
        cash=closing.cash.get(USD, ZERO),
        other_cash={currency: str(amount) for currency, amount in closing.cash.items() if currency != USD},
        positions={symbol: str(held) for symbol, held in closing.shares.items()},
        differences=[_record(one) for one in proof.differences],
        unexplained=len(proof.unexplained),
    )


def _record(difference: Difference) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(difference).items()}


def _tell(session: Session, proof: Proof, mark: str, *, halting: bool) -> None:
    if not proof.unexplained:
        return
    account_id, day = proof.statement.account_id, proof.statement.last
    first, *more = proof.unexplained
    reason = f"{first.kind}: {first.text}" + (f", and {len(more)} more" if more else "")
    key = f"statement:{account_id}:{day}:{mark[:MARK]}"
    is_news = outbox.tell(
        session,
        NoticeKind.STATEMENT_DIFFERS,
        account_id,
        key=key,
        day=day.isoformat(),
        reason=reason,
        halted=halting,
    )
    if is_news and halting:
        halts.halt_too(session, account_id, f"statement of {day}: {reason}", BY)


def _digest(statement: Statement) -> str:
    closing = sorted(statement.closing.shares.items()), sorted(statement.closing.cash.items())
    rows = (*statement.trades, *statement.entries, *statement.closed_lots)
    said = (statement.first, closing, sorted(map(repr, rows)))
    return sha256(repr(said).encode()).hexdigest()
