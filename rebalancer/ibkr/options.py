"""How the broker adapter behaves."""

from __future__ import annotations

from dataclasses import dataclass

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.portfolio import MarketDataType

_DELAYED = frozenset({MarketDataType.DELAYED, MarketDataType.DELAYED_FROZEN})
_FROZEN = frozenset({MarketDataType.FROZEN, MarketDataType.DELAYED_FROZEN})


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Deadlines and what counts as a quote.

    Attributes:
        request_timeout_s: for one question, connecting included.
        quote_timeout_s: until every symbol has a two-sided quote.
        quote_max_age_s: newest tick of a standing subscription that may be used without asking again.
        quotes_kept_s: subscriptions end when nobody has asked for a quote for so long.
        cancel_timeout_s: until the broker confirms that no order is left.
        commission_grace_s: how long a finished batch of orders waits for commissions or reasons still under way.
        books_timeout_s: how long positions and cash may lag behind fills that are known.
        verify_after_s: an order that an error concerns is looked up after this time without a status of the broker.
        ack_timeout_s: an order of which the gateway has said nothing for so long, while it answers questions, is
            unacknowledged: perhaps a window waits on its screen.
        market_data_type: the most lenient kind that is asked for.
        allow_delayed: delayed quotes are accepted; they are up to 20 minutes old.
        account_turns: trade an account only under the client id that stands for it.
        quote_lines: subscriptions of this process at most. IBKR allows a login 100 at least, over all its processes.
    """

    request_timeout_s: float = 15.0
    quote_timeout_s: float = 10.0
    quote_max_age_s: float = 10.0
    quotes_kept_s: float = 60.0
    cancel_timeout_s: float = 60.0
    commission_grace_s: float = 2.0
    books_timeout_s: float = 20.0
    verify_after_s: float = 1.0
    ack_timeout_s: float = 10.0
    market_data_type: MarketDataType = MarketDataType.LIVE
    allow_delayed: bool = False
    account_turns: bool = True
    quote_lines: int = 100

    def __post_init__(self) -> None:
        if self.market_data_type in _DELAYED and not self.allow_delayed:
            raise ConfigurationError([f"market data of type {self.market_data_type} needs allow_delayed"])

    @property
    def quote_lines_kept(self) -> int:
        """Those that go on standing: of many some are free for what is asked before others are cancelled. Of few none
        are, since a symbol without one is asked for anew in each run.
        """
        return self.quote_lines - self.quote_lines // 10

    @property
    def requested_data_type(self) -> MarketDataType:
        """What to ask the gateway for; it answers with the best that the subscriptions allow."""
        if self.allow_delayed and self.market_data_type is MarketDataType.LIVE:
            return MarketDataType.DELAYED
        return self.market_data_type

    @property
    def accepted_data_types(self) -> frozenset[MarketDataType]:
        """What an order may be sized from."""
        accepted = {MarketDataType.LIVE}
        if self.market_data_type in _FROZEN:
            accepted.add(MarketDataType.FROZEN)
        return frozenset(accepted | _DELAYED if self.allow_delayed else accepted)
