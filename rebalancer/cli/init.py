"""`rebalancer init`: from a login at Interactive Brokers to a set-up that can be started."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.output import speak_plainly
from rebalancer.cli.prompts import Asker
from rebalancer.cli.strategies import Catalogue
from rebalancer.cli.tables import console
from rebalancer.config.settings import FIELDS, env_path
from rebalancer.config.setup_files import (
    Follower,
    Places,
    accounts_text,
    beside_accounts,
    check_places,
    check_values,
    env_text,
    known_in,
    unwritable,
    write_both,
    write_keys,
)
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import GatewayUnavailable, KeyRefused, RequestRefused
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.health.doctor import ANSWER_S, gateway_options, wrong_world
from rebalancer.ibkr import Visit, visit

PORTS = {TradingMode.PAPER: "4002", TradingMode.LIVE: "4001"}
CLIENT_ID = int(FIELDS["ib_client_id_first"].default + FIELDS["ib_client_id_count"].default)
ALLOCATIONS_URL = str(FIELDS["allocations_base_url"].default)
LEAVE = "-"
CONTAINERS_READ = ("ALLOCATIONS_BASE_URL",)
"""Of the settings file; what else is asked they get from Compose."""
NEXT = "Next: `rebalancer up`, then `rebalancer doctor`; `rebalancer open` prints a link that signs you in."
NEXT_IN_CONTAINERS = (
    "Next: `docker compose up --detach`, then `docker compose run --rm console rebalancer doctor`; "
    "`docker compose exec api rebalancer open` prints a link that signs you in."
)
MANY = 2
"""Other accounts from which on the first answer is offered for all."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say; ``None`` is asked for."""

    mode: str | None
    host: str | None
    port: str | None
    allocations_url: str | None
    allocations_key: str | None
    realtime_key: str | None
    strategy: str | None
    strategies: Mapping[str, str]
    reserve: str | None


def init(
    *,
    mode: Annotated[TradingMode | None, typer.Option(help="Whose accounts: paper or live.")] = None,
    host: Annotated[str | None, typer.Option(help="Host of the IB Gateway or TWS.")] = None,
    port: Annotated[int | None, typer.Option(help="Its API port.")] = None,
    allocations_url: Annotated[str | None, typer.Option(help="Where targets are read from.")] = None,
    allocations_key: Annotated[
        str | None, typer.Option(envvar="ALLOCATIONS_API_KEY", help="Key of the allocations API.")
    ] = None,
    realtime_key: Annotated[
        str | None, typer.Option(envvar="REALTIME_API_KEY", help="Ably key for the signals; empty for none.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy of all accounts.")] = None,
    account: Annotated[
        list[str] | None, typer.Option(help="ID=STRATEGY for one account, may be repeated; ID=- leaves it alone.")
    ] = None,
    reserve: Annotated[str | None, typer.Option(help="Percent of equity that stays cash, 0 to 10.")] = None,
    accounts_file: Annotated[Path, typer.Option(help="Where to write the accounts.")] = Path("accounts.yaml"),
    replacement_sets: Annotated[Path, typer.Option(help="The replacement sets.")] = Path("replacement-sets.yaml"),
    keys: Annotated[
        Path | None, typer.Option(help="Folder with a file for each key, where containers get them from files.")
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask nothing: the options say everything.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Change files that exist without asking.")] = False,
) -> None:
    """Connect to the gateway, choose strategies, and write .env and accounts.yaml."""
    given = Given(
        mode=mode,
        host=host,
        port=None if port is None else str(port),
        allocations_url=allocations_url,
        allocations_key=allocations_key,
        realtime_key=realtime_key,
        strategy=strategy,
        strategies=dict(_pair(one) for one in account or []),
        reserve=reserve,
    )
    speak_plainly()
    asker = Asker(not no_input)
    places = Places(env_path(), accounts_file, replacement_sets, keys)
    check_places(places)
    values, found = _gateway(asker, given)
    catalogue, followers = _strategies(asker, given, places, found)
    values |= _keys(asker, given, places, catalogue)
    values |= {} if accounts_file == Path("accounts.yaml") else {"ACCOUNTS_FILE": str(accounts_file)}
    _write(asker, places, values, followers, found, force=force)


def _gateway(asker: Asker, given: Given) -> tuple[dict[str, str], Visit]:
    """Ask where the gateway is until it answers as it should."""
    values = {"TRADING_MODE": "paper", "IB_HOST": LOOPBACK}
    while True:
        usual = values["TRADING_MODE"], values["IB_HOST"]
        mode = asker.value("Paper or live trading", "--mode", _mode, given=given.mode, default=usual[0])
        host = asker.value("Host of the IB Gateway", "--host", _text, given=given.host, default=usual[1])
        port = asker.value("Its API port", "--port", _port, given=given.port, default=PORTS[mode])
        values = {"TRADING_MODE": str(mode), "IB_HOST": host, "IB_PORT": str(port)}
        try:
            check_values(values)
            with console.status(f"connecting to {host}:{port}"):
                found = visit(gateway_options(host, port), CLIENT_ID)
            if wrong := wrong_world(mode, found):
                raise RequestRefused(wrong)
        except (GatewayUnavailable, RequestRefused) as problem:
            if not asker.interactive:
                raise
            console.print(f"[red]{escape(str(problem))}[/]", soft_wrap=True)
            console.print("Is the gateway logged in, and its API enabled for this machine?")
            typer.confirm("Try again?", default=True, abort=True)
            given = replace(given, mode=None, host=None, port=None)
            continue
        console.print(f"Connected: the login manages {', '.join(found.accounts)}.", highlight=False)
        return values, found


def _strategies(asker: Asker, given: Given, places: Places, found: Visit) -> tuple[Catalogue, list[Follower]]:
    """Ask for the provider's key until it is taken, and then which strategy each account is to follow."""
    while True:
        try:
            catalogue = _catalogue(asker, given, places)
            return catalogue, _followers(asker, given, catalogue, found)
        except KeyRefused as refused:
            if not asker.interactive:
                raise RequestRefused(str(refused)) from refused
            console.print(f"[red]{escape(str(refused))}[/]", soft_wrap=True)
            console.print("The provider does not take this key; nothing else that you have typed is lost.")
            given = replace(given, allocations_key=None)


def _catalogue(asker: Asker, given: Given, places: Places) -> Catalogue:
    present = places.present().get("ALLOCATIONS_API_KEY")
    question = "Key of the allocations API" + (" (empty: the present one)" if present else "")
    read = _key("ALLOCATIONS_API_KEY")
    key = asker.value(question, "--allocations-key", read, given=given.allocations_key, default=present, secret=True)
    with console.status("asking for the strategies"):
        catalogue = Catalogue(given.allocations_url or ALLOCATIONS_URL, key, ANSWER_S)
    if catalogue.unlisted:
        console.print("[dim]This provider lists no strategies: type their names.[/]")
        console.print(f"[dim]({escape(catalogue.unlisted)})[/]", soft_wrap=True)
    for number, name in enumerate(catalogue.names, start=1):
        console.print(f"{number:>3}  {escape(name)}", highlight=False)
    return catalogue


def _followers(asker: Asker, given: Given, catalogue: Catalogue, found: Visit) -> list[Follower]:
    unknown = sorted(given.strategies.keys() - set(found.accounts))
    if unknown:
        raise RequestRefused(f"--account: the login does not manage {', '.join(unknown)}")
    chosen: dict[str, str] = {}
    usual = catalogue.names[0] if len(catalogue.names) == 1 else None
    for number, account_id in enumerate(found.accounts):
        name = asker.value(
            f"Strategy of {account_id} ({LEAVE} leaves it alone)",
            "--strategy",
            lambda text: text if text == LEAVE else catalogue.read(text),
            given=given.strategies.get(account_id, given.strategy),
            default=usual,
        )
        if name != LEAVE:
            chosen[account_id] = usual = name
            targets = catalogue.targets(name)
            console.print(f"[dim]{len(targets.weights)} symbols, as of {targets.as_of or 'an unknown day'}[/]")
        if number == 0 and name != LEAVE and _same_for_all(asker, given, name, found.accounts[1:]):
            given = replace(given, strategy=name)
    if not chosen:
        raise RequestRefused("no account is to be traded: give at least one a strategy")
    reserve = asker.value("Percent that stays cash", "--reserve", _percent, given=given.reserve, default="1.0")
    return [Follower(account_id, name, reserve) for account_id, name in chosen.items()]


def _same_for_all(asker: Asker, given: Given, name: str, others: Sequence[str]) -> bool:
    """Whether one answer goes for many accounts, of which none was spoken."""
    if not asker.interactive or given.strategy is not None or given.strategies or len(others) < MANY:
        return False
    return typer.confirm(f"{name} for the other {len(others)} accounts too?", default=True)


def _keys(asker: Asker, given: Given, places: Places, catalogue: Catalogue) -> dict[str, str]:
    present = places.present()
    heard = present.get("REALTIME_API_KEY", "")
    signals = asker.value(
        f"Ably key for the strategies' signals (empty: {'the present one' if heard else 'none'})",
        "--realtime-key",
        _optional(_key("REALTIME_API_KEY")),
        given=given.realtime_key,
        default=heard,
        secret=True,
    )
    management = present.get("MANAGEMENT_API_KEY") or secrets.token_urlsafe(32)
    keys = {"ALLOCATIONS_API_KEY": catalogue.key, "REALTIME_API_KEY": signals, "MANAGEMENT_API_KEY": management}
    elsewhere = {} if catalogue.url == ALLOCATIONS_URL else {"ALLOCATIONS_BASE_URL": catalogue.url}
    return {name: text for name, text in (keys | elsewhere).items() if text}


def _write(
    asker: Asker, places: Places, values: dict[str, str], followers: list[Follower], found: Visit, *, force: bool
) -> None:
    check_values(known_in(places.env) | values)
    table = Table("account", "strategy", "reserve")
    for one in followers:
        table.add_row(one.account_id, escape(one.strategy), f"{one.cash_reserve_percent} %")
    console.print(table)
    present = [str(path) for path in (places.env, places.accounts) if path.exists()]
    if present:
        asker.agree(f"Change {' and '.join(present)}, which exist?", option="--force", given=force)
    others = [one for one in found.accounts if one not in {follower.account_id for follower in followers}]
    mode = TradingMode(values["TRADING_MODE"])
    lines = values if places.keys is None else {name: values[name] for name in CONTAINERS_READ if name in values}
    accounts = accounts_text(mode, followers, others, beside_accounts(places.accounts))
    kept = write_both(places, env_text(places.env, lines), accounts, mode)
    write_keys(places, values)
    privately = ", readable by you alone," if places.keys is None else f", the keys in {places.keys}"
    console.print(f"Written: {places.env}{privately} and {places.accounts}.", soft_wrap=True)
    if kept:
        console.print(f"The earlier accounts are in {kept}.", soft_wrap=True)
    console.print(NEXT if places.keys is None else NEXT_IN_CONTAINERS, soft_wrap=True)
    if "REALTIME_API_KEY" not in values:
        console.print("Without REALTIME_API_KEY no signal is received; you can still rebalance by hand.")


def _pair(text: str) -> tuple[str, str]:
    account_id, separator, name = text.partition("=")
    if not separator or not account_id or not name:
        raise RequestRefused(f"--account {text}: write ID=STRATEGY, or ID={LEAVE} to leave the account alone")
    return account_id, name


def _text(text: str) -> str:
    if not text:
        raise ValueError("something has to be written here")
    return text


def _mode(text: str) -> TradingMode:
    if text.lower() not in frozenset(TradingMode):
        raise ValueError("write paper (simulated money) or live (real money)")
    return TradingMode(text.lower())


def _key(name: str) -> Callable[[str], str]:
    """Reads a key that can be used and kept."""

    def read(text: str) -> str:
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("a key is printable ASCII without spaces")
        if unlike := unwritable({name: text}):
            raise ValueError(f"{unlike[0]} cannot be written to {env_path()} unchanged: set it in the environment")
        return text

    return read


def _optional(read: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: read(text) if text else ""


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65_535:
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


def _percent(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("use a number from 0 to 10") from None
    if not 0 <= value <= 10:
        raise ValueError("use a number from 0 to 10")
    return value
