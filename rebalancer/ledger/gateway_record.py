"""The ledger as the record that the workers of one gateway share, see :mod:`rebalancer.ibkr.record`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rebalancer.config.broker_settings import BrokerSettings
from rebalancer.config.order_settings import OrderSettings
from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.errors import GatewayUnavailable, RecordUnavailable
from rebalancer.domain.orders import Fill
from rebalancer.ledger import automatic_halts, gateways, unacknowledged_orders
from rebalancer.ledger import orders as order_records
from rebalancer.ledger.session import Ledger, Session

log = structlog.get_logger()


class LedgerRecord:
    """What the workers of one gateway tell each other.

    Args:
        address: of the gateway, as the workers reach it.
        patience_s: how long another worker's first order is waited for.
        gateway: its name.
    """

    def __init__(self, ledger: Ledger, address: str, patience_s: float, gateway: str = MAIN_GATEWAY) -> None:
        self._ledger = ledger
        self._address = address
        self._patience = timedelta(seconds=patience_s)
        self._gateway = gateway

    @contextmanager
    def first_order(self, connected_s: float, accounts: Collection[str]) -> Iterator[bool]:
        """The right to travel alone is an advisory lock, which dies with the process that holds it."""
        since = time.monotonic() - connected_s
        turn = ExitStack()
        try:
            yield self._must_travel_alone(turn.enter_context(self._ledger.begin()), since, accounts)
        finally:
            with suppress(RecordUnavailable):  # a connection that has died has given the turn away
                turn.close()

    def _must_travel_alone(self, session: Session, since: float, accounts: Collection[str]) -> bool:
        try:
            gateways.take_turn(session, self._address, self._patience)
            age = timedelta(seconds=time.monotonic() - since)
            if gateways.acknowledged_within(session, self._address, age):
                return False
            waiting = gateways.waiting_at(session, self._address, accounts)
        except SQLAlchemyError as error:  # within the transaction, which stays open
            first_line = str(error).splitlines()[0]
            raise GatewayUnavailable(f"the first order of a gateway session travels alone: {first_line}") from error
        if waiting is not None:
            raise GatewayUnavailable(
                f"an order of {waiting.account_id} ({waiting.side} {waiting.quantity} {waiting.symbol}) is not "
                "acknowledged by the gateway, and nothing else has been since: look at its screen, then "
                f"`rebalancer resume {waiting.account_id}`"
            )
        return True

    def acknowledged(self) -> None:
        """From now on older connections send freely."""
        self._put(lambda session: gateways.acknowledged(session, self._address))

    def away(self) -> bool:
        """What waited on its screen is gone."""
        return self._put(lambda session: gateways.away(session, self._address))

    def warned(self, accounts: Collection[str], code: int, text: str) -> bool:
        """Halt those accounts and tell people."""
        return self._put(lambda session: automatic_halts.warned(session, accounts, code, text))

    def liquidated(self, account_id: str, execution_id: str, trade: str) -> bool:
        """Halt the account and tell people, once for each execution."""
        return self._put(lambda session: automatic_halts.liquidated(session, account_id, execution_id, trade))

    def refused(self, order_ref: str, code: int, text: str) -> bool:
        """An unacknowledged order waits for no click any more; the next look at the broker's lists settles it."""
        return self._put(lambda session: unacknowledged_orders.refused(session, order_ref, code, text))

    def corrected(self, fill: Fill) -> bool:
        """It takes the place of the execution on record."""
        return self._put(lambda session: order_records.record_correction(session, fill))

    def desupported(self, day: date, text: str) -> bool:
        """Tell people, once a week."""
        return self._put(lambda session: gateways.desupported(session, self._address, day, text, self._gateway))

    def _put(self, write: Callable[[Session], None]) -> bool:
        try:
            with self._ledger.begin() as session:
                write(session)
        except RecordUnavailable as error:
            log.error("gateway_not_recorded", error=str(error).splitlines()[0])
            return False
        return True


def gateway_record(
    gateway: BrokerSettings, orders: OrderSettings, ledger: Ledger, name: str = MAIN_GATEWAY
) -> LedgerRecord:
    """Of a gateway; another worker's first order is decided by then, with all the questions that takes."""
    patience_s = orders.order_ack_timeout_s + 4 * gateway.ib_request_timeout_s
    return LedgerRecord(ledger, gateway.gateway_address, patience_s, name)
