"""Several logins: what the accounts file says of their gateways, who is traded where, how each is worked with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rebalancer.config.accounts_file import Accounts, load_accounts
from rebalancer.config.logins import misplaced, settings_at
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.gateways import Gateway
from rebalancer.health.settings_in_use import mark
from rebalancer.queueing.celery_queues import queues_of

PAPER, LIVE = TradingMode.PAPER, TradingMode.LIVE
PARTNER = "partner: {port: 4012, trading_mode: paper}"
OWN = "{account_id: DU1, type: paper, strategy_name: s}"
OTHERS = "{account_id: DU2, type: paper, strategy_name: s, gateway: partner}"
Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.chdir(tmp_path)

    def write(gateways: str, *accounts: str) -> Path:
        rows = "".join(f"  - {one}\n" for one in accounts)
        Path("a.yaml").write_text(f"gateways:\n  {gateways}\naccounts:\n{rows}", encoding="utf-8")
        return Path("a.yaml")

    return write


def refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load_accounts(path, {})
    return refused.value.problems


def of_family(written: Written) -> Accounts:
    live = "live: {port: 4001, trading_mode: live}"
    return load_accounts(
        written(f"{PARTNER}\n  {live}", OWN, OTHERS, "{account_id: U3, type: live, strategy_name: s, gateway: live}"),
        {},
    )


def ids(accounts: Accounts, mode: TradingMode) -> list[str]:
    return [account.account_id for account in accounts.active(mode)]


def test_an_account_that_names_no_gateway_belongs_to_that_of_the_settings(written: Written) -> None:
    accounts = load_accounts(written(PARTNER, OWN, OTHERS), {})
    assert [account.gateway for account in accounts] == [MAIN_GATEWAY, "partner"]
    assert accounts.gateways == {"partner": Gateway("partner", 4012, PAPER)}
    assert accounts.gateways_of(PAPER) == (MAIN_GATEWAY, "partner")


def test_without_gateways_there_is_the_one_of_the_settings(written: Written) -> None:
    path = written(PARTNER, OWN)
    path.write_text(f"accounts:\n  - {OWN}\n")
    accounts = load_accounts(path, {})
    assert not accounts.gateways
    assert accounts.gateways_of(PAPER) == accounts.gateways_of(LIVE) == (MAIN_GATEWAY,)


def test_a_gateway_has_what_its_entry_says(written: Written) -> None:
    entry = (
        "x: {host: nas, port: 4001, trading_mode: live, client_id_first: 7, client_id_count: 2, "
        "restart_window: 23:40-00:20, restart_window_zone: Europe/Paris, log: logs/ibc.log}"
    )
    (gateway,) = load_accounts(written(entry, OWN), {}).gateways.values()
    assert gateway == Gateway("x", 4001, LIVE, "nas", 7, 2, "23:40-00:20", "Europe/Paris", Path("logs/ibc.log"))


@pytest.mark.parametrize(
    ("gateways", "problem"),
    [
        ("partner: {trading_mode: paper}", "gateways.partner.port is missing: use 1 to 65535 (required)"),
        ("partner: {port: 4012}", "gateways.partner.trading_mode is missing: use paper or live (required)"),
        ("partner: {port: 0, trading_mode: paper}", "gateways.partner.port = 0 is refused: use 1 to 65535 (required)"),
        ("partner: {port: 1, trading_mode: papr}", "trading_mode = 'papr' is refused: use paper or live (required)"),
        ("partner: {port: 4001, trading_mode: paper}", "has port 4001, a port of the other mode than paper: paper gat"),
        ("partner: {port: 4002, trading_mode: live}", "has port 4002, a port of the other mode than live: paper gate"),
        ("partner: {port: 1, trading_mode: paper, hst: x}", "gateways.partner.hst is unknown: did you mean host?"),
        ("partner: {port: 1, trading_mode: paper, host: ''}", "gateways.partner.host = '' is refused: use a host name"),
        (
            "partner: {port: 1, trading_mode: paper, restart_window: 1-2}",
            "gateways.partner '1-2' is no span like 23:40",
        ),
        (
            "partner: {port: 1, trading_mode: paper, restart_window: 01:00-02:00, restart_window_zone: Nowhere}",
            "gateways.partner unknown time zone 'Nowhere'",
        ),
        (
            "partner: {port: 1, trading_mode: paper, restart_window_zone: UTC}",
            "has a restart_window_zone without restart_window",
        ),
        (
            "partner: {port: 1, trading_mode: paper, client_id_count: 33}",
            "client_id_count = 33 is refused: use 1 to 32",
        ),
        ("main: {port: 4012, trading_mode: paper}", "gateways.main is the gateway of the settings (IB_HOST, IB_PORT"),
        ("Partner: {port: 4012, trading_mode: paper}", "gateways.Partner is no name of a gateway: use small letters"),
        ("partner: 4012", "gateways.partner has to be a mapping with the keys port, trading_mode, host"),
        (f"{PARTNER}\n  b: {{port: 4012, trading_mode: paper}}", "gateways.b is at 127.0.0.1:4012, where partner is"),
    ],
)
def test_a_wrong_gateway_is_refused_with_its_line(written: Written, gateways: str, problem: str) -> None:
    found = refusals(written(gateways, OWN))
    assert any(problem in one and one.startswith("a.yaml:") for one in found), found


def test_gateways_that_are_no_mapping_are_refused(written: Written) -> None:
    assert refusals(written("- partner", OWN)) == ["a.yaml:2: gateways has to map names of gateways to where they are"]


def test_an_account_of_a_gateway_that_is_not_there_is_refused(written: Written) -> None:
    account = "{account_id: DU2, type: paper, strategy_name: s, gateway: partnr}"
    (problem,) = refusals(written(PARTNER, account))
    assert problem == "a.yaml:4: accounts[0].gateway = 'partnr' is unknown: did you mean partner?"


def test_an_account_whose_gateway_is_wrong_is_not_told_a_second_time(written: Written) -> None:
    (problem,) = refusals(written("partner: {port: 4012}", OTHERS))
    assert "trading_mode is missing" in problem


@pytest.mark.parametrize(
    ("gateway", "account"),
    [
        ("x: {port: 4012, trading_mode: paper}", "{account_id: U2, type: live, strategy_name: s, gateway: x}"),
        ("x: {port: 4011, trading_mode: live}", "{account_id: DU2, type: paper, strategy_name: s, gateway: x}"),
    ],
)
def test_an_account_of_the_other_world_than_its_login_is_refused(written: Written, gateway: str, account: str) -> None:
    (problem,) = refusals(written(gateway, account))
    assert "but the login of its gateway x is" in problem


def test_a_paper_process_trades_nothing_live_and_a_live_one_each_login_in_its_own_world(written: Written) -> None:
    accounts = of_family(written)
    assert ids(accounts, PAPER) == ["DU1", "DU2"]
    assert ids(accounts, LIVE) == ["DU2", "U3"]  # the main login is live then, and DU1 is not
    assert accounts.gateways_of(LIVE) == ("partner", "live")


def test_a_gateway_is_worked_with_by_the_settings_with_its_own_in_place_of_theirs() -> None:
    settings = Settings.from_flat(
        {
            "ib_port": 4002,
            "gateway_restart": "11:45 PM America/New_York",
            "gateway_log": "main.log",
            "max_day_orders": 9,
        }
    )
    gateway = Gateway("x", 4012, PAPER, "nas", 300, 4, "01:00-02:00", "UTC")
    here = settings_at(settings, {"x": gateway}, "x")
    assert (here.broker.gateway_address, here.broker.ib_client_id_first, here.broker.ib_client_id_count) == (
        "nas:4012",
        300,
        4,
    )
    assert str(here.orders.daily_restart_window) == "01:00-02:00 UTC"
    assert here.notifications.gateway_log is None
    assert here.risk == settings.risk


def test_what_a_gateway_leaves_out_is_as_in_the_settings() -> None:
    settings = Settings.from_flat({"restart_window": "23:40-00:20", "ib_client_id_first": 500})
    here = settings_at(settings, {"x": Gateway("x", 4012, PAPER)}, "x")
    assert here.broker.ib_client_id_first == 500
    assert here.orders.daily_restart_window == settings.orders.daily_restart_window


def test_a_live_gateway_is_not_reached_from_a_process_of_paper_trading() -> None:
    gateways = {"x": Gateway("x", 4011, LIVE)}
    with pytest.raises(ConfigurationError, match="gateway x is live, but TRADING_MODE is paper"):
        settings_at(Settings.from_flat(), gateways, "x")
    live = Settings.from_flat({"trading_mode": "live", "ib_port": 4001})
    assert settings_at(live, gateways, "x").broker.trading_mode is LIVE


def test_a_paper_gateway_beside_a_live_one_is_worked_with_as_paper() -> None:
    live = Settings.from_flat({"trading_mode": "live", "ib_port": 4001})
    assert settings_at(live, {"x": Gateway("x", 4012, PAPER)}, "x").broker.trading_mode is PAPER


def test_two_logins_have_no_gateway_in_common() -> None:
    broker = Settings.from_flat({"ib_port": 4012}).broker
    (problem,) = misplaced(broker, {"x": Gateway("x", 4012, PAPER)})
    assert "gateway x is at 127.0.0.1:4012, where the main one is" in problem


@pytest.mark.parametrize(
    ("addresses", "found"),
    [("x=127.0.0.1:20001", "127.0.0.1:20001"), ("y=a:1,x=b:2", "b:2"), ("none", None), ("y=a:1", None)],
)
def test_addresses_of_gateways_are_those_of_the_setting_or_nowhere(addresses: str, found: str | None) -> None:
    settings = Settings.from_flat({"gateway_addresses": addresses})
    gateways = {"x": Gateway("x", 4012, PAPER, log=Path("real.log"))}
    if found is None:
        with pytest.raises(ConfigurationError, match="GATEWAY_ADDRESSES says nothing of gateway x"):
            settings_at(settings, gateways, "x")
    else:
        here = settings_at(settings, gateways, "x")
        assert here.broker.gateway_address == found
        assert here.notifications.gateway_log is None  # it would be that of the real one


def test_a_stand_in_at_a_port_of_the_other_mode_is_refused() -> None:
    settings = Settings.from_flat({"gateway_addresses": "x=h:4001"})
    with pytest.raises(ConfigurationError, match="GATEWAY_ADDRESSES has x at a port of the other mode than paper"):
        settings_at(settings, {"x": Gateway("x", 4012, PAPER)}, "x")


def test_the_main_gateways_queues_are_called_as_if_there_were_no_other() -> None:
    assert queues_of(MAIN_GATEWAY) == ("live", "report")
    assert queues_of("partner") == ("live.partner", "report.partner")


def test_workers_of_different_gateways_work_with_the_same_settings() -> None:
    assert mark(Settings.from_flat({"worker_gateway": "partner"})) == mark(Settings.from_flat())
