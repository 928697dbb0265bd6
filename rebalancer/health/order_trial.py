"""Do orders come through? One share of a target, far below the market: acknowledged, cancelled, verified gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from uuid import uuid4

from rebalancer.config.accounts_file import Account
from rebalancer.config.order_settings import OrderSettings
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError, RebalancerError
from rebalancer.domain.orders import OrderRequest
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce
from rebalancer.health.readiness import Check
from rebalancer.ibkr import BrokerOptions, Connection, ConnectionOptions, FixedClientId, IbkrBroker, OrderTrial
from rebalancer.ledger import halts
from rebalancer.ledger.gateway_record import gateway_record
from rebalancer.planning import replacements
from rebalancer.services import Services

NAME = "orders"
DISCOUNT = Decimal("0.10")
"""Below the bid: out of reach, since a US stock is paused before it moves that far at once; and not so far that presets
of the gateway refuse it for its price.
"""
ANSWER_S = 5.0
_LOOK = (
    "look at the gateway's screen: confirm every window (such as 'Market Order Confirmation', a warning about advisor "
    "orders, or a cheaper ETF), tick 'don't display this message again', and tick 'Bypass Order Precautions for API "
    "orders' in its API settings (BYPASS_WARNING=yes in Compose); then try again"
)

Agree = Callable[[str, str], bool]
"""Asks a person: a question, and what has to be typed."""


def prove(services: Services, account_id: str | None, agree: Agree) -> Iterator[Check]:
    """Send the trial order for an account, by default the first that is traded.

    Args:
        agree: asked before anything is sent to a live account.
    """
    try:
        account = _account(services, account_id)
        yield _prove(services, account, agree)
    except RebalancerError as error:
        yield Check(NAME, False, f"nothing was proven: {str(error).splitlines()[0]}")


def _prove(services: Services, account: Account, agree: Agree) -> Check:
    with services.ledger.begin() as session:
        if active := halts.in_force(session, account.account_id):
            return Check(NAME, False, f"{active[0].blocks.reason}; nothing is sent")
    symbol = _symbol(services, account)
    where = f"a limit order for 1 {symbol} in {account.account_id}, {DISCOUNT:.0%} below the market"
    live = services.mode_of(account) is TradingMode.LIVE
    if live and not agree(f"This sends and cancels {where}.", account.account_id):
        return Check(NAME, False, f"nothing was sent: {account.account_id} was not typed")
    order, trial = _try(services, account, symbol)
    return _verdict(order, trial, services.settings.orders)


def _account(services: Services, account_id: str | None) -> Account:
    accounts = services.accounts()
    if account_id is not None:
        return accounts.get(account_id)
    active = accounts.active(services.settings.broker.trading_mode)
    if not active:
        raise ConfigurationError([f"no {services.settings.broker.trading_mode} account is enabled"])
    return active[0]


def _symbol(services: Services, account: Account) -> str:
    """The heaviest target, of a blend in its heaviest strategy."""
    strategy = max(account.members, key=lambda one: one.share).strategy if account.members else account.strategy
    weights = replacements.apply(services.targets.fetch(strategy).weights, services.replacements(account))
    if not weights:
        raise ConfigurationError([f"{account.strategy} has no target to try with"])
    return max(weights, key=lambda target: target.weight).symbol


def _try(services: Services, account: Account, symbol: str) -> tuple[OrderRequest, OrderTrial]:
    settings = services.settings_of(account.gateway)
    options = ConnectionOptions(
        settings.broker.ib_host, settings.broker.ib_port, connect_timeout_s=ANSWER_S, request_timeout_s=ANSWER_S
    )
    # Beyond the ids that the workers share, so that trying never takes one from them.
    client = FixedClientId(settings.broker.ib_client_id_first + settings.broker.ib_client_id_count)
    record = gateway_record(settings.broker, settings.orders, services.ledger, account.gateway)
    connection = Connection(options, client, record)
    broker = IbkrBroker(connection, _broker_options(settings))
    try:
        instrument = broker.instruments([symbol])[symbol]
        bid = broker.quotes({symbol: instrument})[symbol].bid
        order = OrderRequest(
            order_ref=f"doctor-{uuid4().hex[:12]}",
            account_id=account.account_id,
            symbol=symbol,
            contract_id=instrument.contract_id,
            side=Side.BUY,
            quantity=instrument.lot,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.DAY,
            limit_price=instrument.floor_price(bid * (1 - DISCOUNT)),
        )
        return order, broker.try_order(order)
    finally:
        connection.close()


def _broker_options(settings: Settings) -> BrokerOptions:
    return BrokerOptions(
        request_timeout_s=2 * ANSWER_S,
        quote_timeout_s=settings.broker.quote_timeout_s,
        cancel_timeout_s=min(settings.orders.cancel_timeout_s, 2 * ANSWER_S),
        ack_timeout_s=settings.orders.order_ack_timeout_s,
    )


def _verdict(order: OrderRequest, trial: OrderTrial, settings: OrderSettings) -> Check:
    asked = f"BUY {order.quantity} {order.symbol} at {order.limit_price}"
    what = f"{asked} in {order.account_id} (order ref {order.order_ref})"
    remark = f" ({trial.remark})" if trial.remark else ""
    if trial.filled:
        return Check(NAME, False, f"{what} was FILLED{remark}: sell it again if it is not wanted")
    if trial.listed:
        return Check(NAME, False, f"{what} is still open{remark}: cancel it by hand")
    if not trial.acknowledged and trial.remark is None:
        silence = f"the gateway took {what} and has said nothing of it for {settings.order_ack_timeout_s:g} s"
        return Check(NAME, False, f"{silence}: {_LOOK}; if that order appears, cancel it")
    if not trial.acknowledged:
        return Check(NAME, False, f"{what} was refused{remark}; see docs/faults.md for the code")
    market = settings.order_type is OrderType.MARKET
    reserve = "; the gateway may still ask about its first market order" if market else ""
    return Check(NAME, True, f"{what} was acknowledged, cancelled, and is gone{remark}{reserve}")
