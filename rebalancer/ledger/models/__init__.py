"""Tables of the ledger, the one truth about signals, events, attempts, orders and fills.

Money, prices and quantities are NUMERIC, times are timestamps with time zone; JSON columns keep decimals as text.
"""

from rebalancer.ledger.models.base import Base
from rebalancer.ledger.models.cash_plans import CashPlanRow
from rebalancer.ledger.models.credentials import CredentialRow
from rebalancer.ledger.models.decisions import ApprovalRow, HaltRow, ScheduleRow
from rebalancer.ledger.models.events import Attempt, Event, SignalEvent
from rebalancer.ledger.models.gateways import GatewayRow
from rebalancer.ledger.models.installations import ForeignOrderRow, InstallationRow
from rebalancer.ledger.models.records import AuditRow, Component, DeliveryRow, NoticeRow
from rebalancer.ledger.models.signals import Channel, GapRow, Signal
from rebalancer.ledger.models.sources import SourceRow
from rebalancer.ledger.models.statements import ClosedLotRow, FlexQueryRow, StatementRow
from rebalancer.ledger.models.strategy_holds import StrategyHoldRow
from rebalancer.ledger.models.trades import EXCHANGED, STOCK, FillRow, Order, OrderReport, SnapshotRow

__all__ = [
    "EXCHANGED",
    "STOCK",
    "ApprovalRow",
    "Attempt",
    "AuditRow",
    "Base",
    "CashPlanRow",
    "Channel",
    "ClosedLotRow",
    "Component",
    "CredentialRow",
    "DeliveryRow",
    "Event",
    "FillRow",
    "FlexQueryRow",
    "ForeignOrderRow",
    "GapRow",
    "GatewayRow",
    "HaltRow",
    "InstallationRow",
    "NoticeRow",
    "Order",
    "OrderReport",
    "ScheduleRow",
    "Signal",
    "SignalEvent",
    "SnapshotRow",
    "SourceRow",
    "StatementRow",
    "StrategyHoldRow",
]
