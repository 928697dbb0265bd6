"""Everything that a set-up depends on, tried out from here, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rebalancer.allocations import AllocationsClient
from rebalancer.config.accounts_file import Accounts
from rebalancer.config.configuration import problems_beside_settings
from rebalancer.config.field_help import nearest
from rebalancer.config.running_stack import Origin
from rebalancer.config.settings import Settings, resolve
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.errors import (
    ConfigurationError,
    GatewayUnavailable,
    NothingRuns,
    RebalancerError,
    RecordUnavailable,
)
from rebalancer.domain.money import ZERO
from rebalancer.domain.sources import Source
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.health import machine, notifications, readiness, settings_in_use
from rebalancer.health.ledger_mark import ledger_mark
from rebalancer.health.readiness import CLOCK_SKEW_S, Check
from rebalancer.ibkr import ConnectionOptions, Visit, visit
from rebalancer.ledger import heartbeats, installations
from rebalancer.ledger.admin import schema
from rebalancer.ledger.recovered_orders import restored_at
from rebalancer.services import Services
from rebalancer.sources.reading import read

ANSWER_S = 5.0


def examine() -> Iterator[Check]:
    """Checks in the order in which a person would repair what is wrong; ends early where nothing more can be told."""
    yield machine.env_file()
    try:
        settings, origin = resolve()
    except ConfigurationError as wrong:
        yield from (Check("settings", False, problem) for problem in wrong.problems)
        yield from (Check("accounts", False, problem) for problem in problems_beside_settings())
        return
    except NothingRuns as away:
        yield Check("stack", False, str(away))
        return
    yield _stack(origin)
    yield Check("settings", True, f"{settings.broker.trading_mode} trading")
    services = Services.of(settings)
    try:
        accounts = services.accounts()
    except ConfigurationError as wrong:
        yield from (Check("accounts", False, problem) for problem in wrong.problems)
        return
    active = accounts.active(settings.broker.trading_mode)
    remedy = "" if active else f"; set enabled: true and type: {settings.broker.trading_mode} for at least one"
    yield Check("accounts", bool(active), f"{len(active)} of {len(accounts)} are traded{remedy}")
    yield from _keys(settings, accounts)
    yield from _gateways(services, accounts)
    for strategy in accounts.channels(settings.broker.trading_mode):
        yield _targets(settings.signals, strategy)
    for source in accounts.tables(settings.broker.trading_mode):
        yield _table(settings.signals, source)
    yield from _unfollowed(accounts)
    yield machine.disk()
    ledger = ledger_mark(settings.stores.database_url)
    api, flower = (machine.reached(settings.api.api_host, name, f"sandbox-{name}") for name in ("api", "flower"))
    yield machine.port("API", api, settings.api.api_port, "livez", "API_PORT", ledger=ledger)
    yield machine.port("Flower", flower, settings.api.flower_port, "healthcheck", "FLOWER_PORT")
    yield from _schema(services)
    yield from readiness.check(services)
    yield from _settings_in_use(services)
    yield notifications.check(services)


def _stack(origin: Origin) -> Check:
    """Whose ledger and queue everything else is about."""
    found = origin.stack is not None or bool(origin.places)
    return Check("stack", found, origin.line() if found else origin.remedy())


def gateway_options(host: str, port: int) -> ConnectionOptions:
    """How a person's question is put: with less patience than a run has."""
    return ConnectionOptions(host, port, connect_timeout_s=ANSWER_S, request_timeout_s=ANSWER_S)


def _keys(settings: Settings, accounts: Accounts) -> Iterator[Check]:
    wanted = {"management_api_key": "the API and the page can change nothing"}
    if not accounts.sources or accounts.channels(settings.broker.trading_mode):
        of_provider = {"realtime_api_key": "signals cannot be heard", "allocations_api_key": "targets cannot be read"}
        wanted = of_provider | wanted
    given = settings.flat()
    for name, without in wanted.items():
        there = given[name] is not None
        key = name.upper()
        yield Check(key, there, "is set" if there else f"is not set, so {without}: add it to .env")


def _gateways(services: Services, accounts: Accounts) -> Iterator[Check]:
    """Of each gateway; of several, each check says of which."""
    if not accounts.gateways:
        yield from _gateway(services, _look(services, accounts, MAIN_GATEWAY), {})
        return
    used = accounts.gateways_of(services.settings.broker.trading_mode)
    looks = {}
    for name in (*([MAIN_GATEWAY] if MAIN_GATEWAY in used else []), *accounts.gateways):
        try:
            looks[name] = _look(services, accounts, name)
        except ConfigurationError as barred:
            yield Check(f"gateway {name}", name not in used, f"is not used: {'; '.join(barred.problems)}")
    managed = {name: look.found.accounts for name, look in looks.items() if isinstance(look.found, Visit)}
    if MAIN_GATEWAY not in looks and any(_missing(look) for look in looks.values()):
        managed |= _spare(services, accounts)
    for name, look in looks.items():
        elsewhere = {account: other for other, ids in managed.items() if other != name for account in ids}
        for one in _gateway(services, look, elsewhere):
            yield replace(one, name=f"{one.name} of {name}")


def _spare(services: Services, accounts: Accounts) -> dict[str, tuple[str, ...]]:
    """Accounts of the main login, which none is to be traded at; nothing where it is away, since nobody needs it."""
    found = _look(services, accounts, MAIN_GATEWAY).found
    return {MAIN_GATEWAY: found.accounts} if isinstance(found, Visit) else {}


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen at one gateway.

    Attributes:
        settings: those of its workers.
        active: accounts that are to be traded there.
        found: what it said, or why it did not.
    """

    name: str
    settings: Settings
    active: tuple[str, ...]
    found: Visit | GatewayUnavailable


def _missing(look: _Look) -> list[str]:
    """Accounts that are to be traded there and that the login does not manage, as far as it is known."""
    managed = look.found.accounts if isinstance(look.found, Visit) else look.active
    return [account_id for account_id in look.active if account_id not in managed]


def _look(services: Services, accounts: Accounts, name: str) -> _Look:
    """Connect to one.

    Raises:
        ConfigurationError: it must not be reached from here.
    """
    settings = services.settings_of(name)
    traded = accounts.active(services.settings.broker.trading_mode)
    active = tuple(account.account_id for account in traded if account.gateway == name)
    # Beyond the ids that the workers share, so that looking never takes one from them.
    client_id = settings.broker.ib_client_id_first + settings.broker.ib_client_id_count
    try:
        found = visit(gateway_options(settings.broker.ib_host, settings.broker.ib_port), client_id, active)
    except GatewayUnavailable as error:
        return _Look(name, settings, active, error)
    return _Look(name, settings, active, found)


def _gateway(services: Services, look: _Look, elsewhere: Mapping[str, str]) -> Iterator[Check]:
    """Of one.

    Args:
        elsewhere: the gateways of accounts that other logins manage.
    """
    broker, found = look.settings.broker, look.found
    if isinstance(found, GatewayUnavailable):
        place = "IB_HOST and IB_PORT" if look.name == MAIN_GATEWAY else f"gateways.{look.name} in the accounts file"
        remedy = f"start the IB Gateway, log in, and enable its API for this machine, or correct {place}"
        yield Check("gateway login", False, f"{found}; {remedy}")
        return
    yield Check("gateway login", True, f"{broker.gateway_address} manages {', '.join(found.accounts) or 'no account'}")
    yield _world(broker.trading_mode, found)
    yield _managed(look, elsewhere)
    values = "; ".join(found.unusable)
    yield Check("gateway values", not values, values or "equity and cash in USD of each traded account can be read")
    yield from _strangers(services, found)
    in_step = abs(found.clock_ahead_s) < CLOCK_SKEW_S
    remedy = "" if in_step else "; synchronise this machine's clock, for example with chrony"
    yield Check("gateway clock", in_step, f"differs from ours by {abs(found.clock_ahead_s):.1f} s{remedy}")


def _strangers(services: Services, found: Visit) -> Iterator[Check]:
    """Nothing while the ledger cannot tell which orders are ours: that is told anyway."""
    seen = {ref: at for orders in found.orders.values() for ref, at in orders.items()}
    try:
        with services.ledger.begin() as session:
            others = sorted(installations.strangers(session, seen, restored_at(session)).others)
    except RecordUnavailable:
        return
    text = "today's orders of our form at the broker are all on record here"
    if others:
        text = (
            f"another installation trades here: {', '.join(others)} at the broker are not on record; "
            "let one installation alone trade an account"
        )
    yield Check("gateway orders", not others, text)


def _world(mode: TradingMode, found: Visit) -> Check:
    wrong = wrong_world(mode, found)
    return Check("gateway mode", wrong is None, wrong or f"the login is a {mode} login")


def wrong_world(mode: TradingMode, found: Visit) -> str | None:
    """Why a login is not of the trading mode, if so."""
    foreign = [one for one in found.accounts if TradingMode.of(one) is not mode]
    if not foreign:
        return None
    remedy = "log in to the other mode, or correct TRADING_MODE and IB_PORT"
    return f"the trading mode is {mode}, but the login has {', '.join(foreign)}; {remedy}"


def _managed(look: _Look, elsewhere: Mapping[str, str]) -> Check:
    missing = _missing(look)
    if not missing:
        return Check("gateway accounts", True, f"the login manages all {len(look.active)} traded accounts")
    problems = [
        f"{account_id} belongs to the login of {elsewhere[account_id]}: write gateway: {elsewhere[account_id]} for it "
        "in the accounts file"
        for account_id in missing
        if account_id in elsewhere
    ]
    if nowhere := [account_id for account_id in missing if account_id not in elsewhere]:
        remedy = "log in as their user, or set enabled: false in the accounts file"
        problems.append(f"the login does not manage {', '.join(nowhere)}; {remedy}")
    return Check("gateway accounts", False, "; ".join(problems))


def _targets(settings: SignalSettings, strategy: str) -> Check:
    name = f"targets of {strategy}"
    if settings.allocations_api_key is None:
        return Check(name, False, "cannot be read without ALLOCATIONS_API_KEY")
    try:
        found = AllocationsClient.of(settings).fetch(strategy)
    except RebalancerError as error:
        return Check(name, False, str(error))
    return Check(name, True, f"{len(found.weights)} symbols, as of {found.as_of or 'an unknown day'}")


def _table(settings: SignalSettings, source: Source) -> Check:
    name = f"targets of {source.strategy}"
    try:
        found = read(source, settings)
    except RebalancerError as error:
        return Check(name, False, str(error))
    total = percent_text(Ratio(sum((entry.weight for entry in found.weights), ZERO)))
    day = found.as_of or "an unknown day"
    return Check(name, True, f"{len(found.weights)} symbols, {total}, as of {day}, from {source.shown}")


def _unfollowed(accounts: Accounts) -> Iterator[Check]:
    """A name that was mistyped leaves its account to the allocations API."""
    followed = {strategy for account in accounts for strategy in account.follows}
    for strategy in sorted(accounts.sources.keys() - followed):
        yield Check(f"targets of {strategy}", False, f"no account follows them: {nearest(strategy, followed)}")


def _settings_in_use(services: Services) -> Iterator[Check]:
    """Nothing while the database is away: that is told anyway."""
    try:
        with services.ledger.begin() as session:
            seen = heartbeats.known(session)
    except RecordUnavailable:
        return
    yield settings_in_use.check(settings_in_use.processes(seen), services.settings)


def _schema(services: Services) -> Iterator[Check]:
    """Nothing while the database is away: that is told anyway."""
    try:
        with services.ledger.begin() as session:
            present = schema.present(session)
    except RecordUnavailable:
        return
    needed, *older = schema.revisions()
    if present == needed:
        yield Check("schema", True, f"the ledger is at version {present}")
        return
    known = present is None or present in older
    remedy = "run `alembic upgrade head`, or `rebalancer up`, which does" if known else "install the newer program"
    detail = f"the ledger is at version {present or 'none'}, the program needs {needed}"
    yield Check("schema", False, f"{detail}; {remedy}")
