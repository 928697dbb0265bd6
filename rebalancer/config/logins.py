"""The settings of a process at one gateway: those that it was given, with what that gateway has of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rebalancer.config.broker_settings import PORTS_OF_MODES, BrokerSettings, is_of_other_mode
from rebalancer.config.field_help import nearest
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.gateways import Gateway


def settings_at(settings: Settings, gateways: Mapping[str, Gateway], name: str) -> Settings:
    """The settings with which a gateway beside the main one is worked with.

    Raises:
        ConfigurationError: there is no such gateway, or it must not be reached from here.
    """
    gateway = gateways.get(name)
    if gateway is None:
        known = nearest(name, (MAIN_GATEWAY, *gateways))
        raise ConfigurationError([f"the accounts file has no gateway {name!r}: {known}"])
    if problems := [*_out_of_reach(settings.broker, gateway), *_misplaced(settings.broker, gateway)]:
        raise ConfigurationError(problems)
    return settings.changed(**_own(settings.broker, gateway))


def misplaced(broker: BrokerSettings, gateways: Mapping[str, Gateway]) -> list[str]:
    """What is wrong with the places of gateways, given that of the main one."""
    return [problem for gateway in gateways.values() for problem in _misplaced(broker, gateway)]


def _misplaced(broker: BrokerSettings, gateway: Gateway) -> Iterator[str]:
    place = broker.place_of(gateway)
    if place is None:
        return
    if place == (broker.ib_host, broker.ib_port):
        yield (
            f"gateway {gateway.name} is at {broker.gateway_address}, where the main one is (IB_HOST, IB_PORT): each "
            "login has a gateway of its own"
        )
    elif is_of_other_mode(place[1], gateway.mode):
        yield f"GATEWAY_ADDRESSES has {gateway.name} at a port of the other mode than {gateway.mode}: {PORTS_OF_MODES}"


def _out_of_reach(broker: BrokerSettings, gateway: Gateway) -> Iterator[str]:
    if broker.place_of(gateway) is None:
        yield f"GATEWAY_ADDRESSES says nothing of gateway {gateway.name}: in a sandbox, start it anew; else add it"
    if gateway.mode is TradingMode.LIVE and broker.trading_mode is TradingMode.PAPER:
        yield f"gateway {gateway.name} is live, but TRADING_MODE is paper: nothing live is reached from here"


def _own(broker: BrokerSettings, gateway: Gateway) -> dict[str, object]:
    host, port = broker.place_of(gateway) or (gateway.host, gateway.port)
    own: dict[str, object] = {
        "trading_mode": gateway.mode,
        "ib_host": host,
        "ib_port": port,
        "gateway_log": gateway.log if broker.gateway_addresses is None else None,
        "gateway_addresses": None,
    }
    beside = {
        "ib_client_id_first": gateway.client_id_first,
        "ib_client_id_count": gateway.client_id_count,
        "restart_window": gateway.restart_window,
        "restart_window_zone": gateway.restart_window_zone,
    }
    if gateway.restart_window is not None:
        own["gateway_restart"] = None
    return own | {name: value for name, value in beside.items() if value is not None}
