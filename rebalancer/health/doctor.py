"""Everything that a set-up depends on, tried out from here, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.allocations import AllocationsClient
from rebalancer.config.accounts_file import Accounts
from rebalancer.config.configuration import problems_beside_settings
from rebalancer.config.field_help import nearest
from rebalancer.config.running_stack import Origin
from rebalancer.config.settings import Settings, resolve
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.accounts import TradingMode
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
    yield from _gateway(services, accounts)
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


def _gateway(services: Services, accounts: Accounts) -> Iterator[Check]:
    settings = services.settings
    where = f"{settings.broker.ib_host}:{settings.broker.ib_port}"
    # Beyond the ids that the workers share, so that looking never takes one from them.
    client_id = settings.broker.ib_client_id_first + settings.broker.ib_client_id_count
    active = [account.account_id for account in accounts.active(settings.broker.trading_mode)]
    try:
        found = visit(gateway_options(settings.broker.ib_host, settings.broker.ib_port), client_id, active)
    except GatewayUnavailable as error:
        remedy = "start the IB Gateway, log in, and enable its API for this machine, or correct IB_HOST and IB_PORT"
        yield Check("gateway login", False, f"{error}; {remedy}")
        return
    yield Check("gateway login", True, f"{where} manages {', '.join(found.accounts) or 'no account'}")
    yield _world(settings.broker.trading_mode, found)
    yield _managed(settings.broker.trading_mode, accounts, found)
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


def _managed(mode: TradingMode, accounts: Accounts, found: Visit) -> Check:
    active = [account.account_id for account in accounts.active(mode)]
    missing = [account_id for account_id in active if account_id not in found.accounts]
    if not missing:
        return Check("gateway accounts", True, f"the login manages all {len(active)} traded accounts")
    remedy = "log in as their user, or set enabled: false in the accounts file"
    return Check("gateway accounts", False, f"the login does not manage {', '.join(missing)}; {remedy}")


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
