"""Settings: where they come from, what is refused, and how a refusal reads."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rebalancer.config.settings import FIELDS, Settings, environment_names, load_settings, read_settings
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.portfolio import FeeSchedule, OrderType

EnvFile = Callable[[str], Path]
SECRET = "hunter2-key"


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FIELDS:
        for known in environment_names(name):
            monkeypatch.delenv(known, raising=False)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def env_file(tmp_path: Path) -> EnvFile:
    def write(text: str) -> Path:
        file = tmp_path / ".env"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def _problems() -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    return refused.value.problems


def test_the_defaults_need_neither_file_nor_environment() -> None:
    settings = load_settings()
    assert settings.broker.trading_mode is TradingMode.PAPER
    assert settings.broker.ib_port == 4002
    assert settings.signals.allocations_api_key is None


def test_the_file_in_the_working_directory_is_read(env_file: EnvFile) -> None:
    env_file("ORDER_TYPE=LMT # a comment\nexport FEE_MINIMUM='0.35'\n\n")
    assert load_settings().orders.order_type is OrderType.LIMIT
    assert load_settings().orders.fee_minimum == Decimal("0.35")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffORDER_TYPE=LMT\nFEE_MINIMUM=0.35\n",
        "ORDER_TYPE=LMT\r\nFEE_MINIMUM=0.35\r\n",
        "export ORDER_TYPE=\"LMT\"\nexport FEE_MINIMUM='0.35' # of IBKR\n",
        "# ORDER_TYPE=MKT\nORDER_TYPE = LMT  # a comment\n\nFEE_MINIMUM= 0.35",
    ],
    ids=["byte order mark", "Windows", "shell", "spaces"],
)
def test_a_file_may_be_written_by_any_editor(env_file: EnvFile, text: str) -> None:
    env_file(text)
    settings = load_settings()
    assert (settings.orders.order_type, settings.orders.fee_minimum) == (OrderType.LIMIT, Decimal("0.35"))


def test_a_notification_key_of_an_earlier_program_leads_to_todays(env_file: EnvFile) -> None:
    env_file("USER_NOTIFICATIONS_CHANNEL=mine\n")
    [problem] = _problems()
    assert problem.endswith("USER_NOTIFICATIONS_CHANNEL is of an earlier program: NOTIFY_URLS says where messages go")


def test_an_order_has_to_end_before_the_market_does(env_file: EnvFile) -> None:
    """IBKR keeps what is left at the close for the next open (399)."""
    env_file("ORDER_TIMEOUT_S=301\nMARKET_CLOSE_CUTOFF_S=300\n")
    [problem] = _problems()
    assert "MARKET_CLOSE_CUTOFF_S = 300 is less than ORDER_TIMEOUT_S = 301" in problem
    env_file("ORDER_TIMEOUT_S=300\nMARKET_CLOSE_CUTOFF_S=300\n")
    assert load_settings().orders.order_timeout_s == 300


def test_the_environment_wins_over_the_file(env_file: EnvFile, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file("IB_HOST=from-file\n")
    monkeypatch.setenv("IB_HOST", "from-environment")
    assert load_settings().broker.ib_host == "from-environment"


def test_an_older_name_in_the_environment_wins_over_todays_name_in_the_file(
    env_file: EnvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file("ALLOCATIONS_API_KEY=from-file\n")
    monkeypatch.setenv("ZEHNLABS_FINTECH_API_KEY", "from-environment")
    assert load_settings().signals.require("allocations_api_key") == "from-environment"


@pytest.mark.parametrize(
    ("older", "field"),
    [
        ("ZEHNLABS_FINTECH_API_KEY", "allocations_api_key"),
        ("REBALANCE_EVENT_SUBSCRIPTION_API_KEY", "realtime_api_key"),
    ],
)
def test_older_names_are_read_from_the_file(env_file: EnvFile, older: str, field: str) -> None:
    env_file(f"{older}={SECRET}\n")
    assert load_settings().signals.require(field) == SECRET


def test_env_file_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.env").write_text("LOG_LEVEL=debug\n", encoding="utf-8")
    monkeypatch.setenv("ENV_FILE", "other.env")
    assert load_settings().logs.log_level == "DEBUG"


def test_a_file_that_was_asked_for_has_to_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV_FILE", "absent.env")
    assert "absent.env: cannot be read" in _problems()[0]


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"IB_HOST=\xff\n")
    assert ".env: cannot be read" in _problems()[0]


def test_an_empty_value_counts_as_not_set(env_file: EnvFile, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file("IB_PORT=\n")
    monkeypatch.setenv("FEE_MINIMUM", "")
    assert load_settings() == Settings.from_flat()


def test_settings_are_what_they_are_given_and_read_nothing_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTE_TIMEOUT_S", "7")
    assert Settings.from_flat().broker.quote_timeout_s == 10
    assert load_settings().broker.quote_timeout_s == 7


def test_values_are_literal(env_file: EnvFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_OF", "x")
    env_file("ALLOCATIONS_API_KEY=a${HOME_OF}$b\n")
    assert load_settings().signals.require("allocations_api_key") == "a${HOME_OF}$b"


def test_unknown_variables_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PROT", "1")
    load_settings()


def test_keys_of_other_programs_in_the_file_are_passed_over(env_file: EnvFile) -> None:
    env_file("IB_USERNAME=me\nIB_PASSWORD=mine\nVNC_PASSWORD=v\nAUTO_RESTART_TIME=11:45 PM\nTZ=America/New_York\n")
    assert load_settings() == Settings.from_flat()


def test_every_problem_is_told_at_once_with_place_and_remedy(
    env_file: EnvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file("TRADNG_MODE=live\nIB_PORT=abc\nALLOCATIONS_TIMEOUT_S=500\nIB_HOST=a\nIB_HOST=b\nnonsense\n")
    monkeypatch.setenv("EXTENDED_HOURS_ENABLED", "maybe")
    assert sorted(_problems()) == [
        ".env:1: TRADNG_MODE is unknown: did you mean TRADING_MODE?",
        ".env:2: IB_PORT = 'abc' is refused: use 1 to 65535 (default 4002)",
        ".env:3: ALLOCATIONS_TIMEOUT_S = '500' is refused: use 0.1 to 120 (default 30)",
        ".env:5: IB_HOST was set before at .env:4: keep one",
        ".env:6: is not of the form KEY=value",
        "environment: EXTENDED_HOURS_ENABLED = 'maybe' is refused: use true or false (default false)",
    ]


def test_two_names_of_one_setting_are_a_repetition(env_file: EnvFile) -> None:
    env_file("ALLOCATIONS_API_KEY=a\nZEHNLABS_FINTECH_API_KEY=b\n")
    assert _problems() == [".env:2: ZEHNLABS_FINTECH_API_KEY was set before at .env:1: keep one"]


@pytest.mark.parametrize(
    "line",
    [
        f'ALLOCATIONS_API_KEY="{SECRET} with a space"',
        f"MANAGMENT_API_KEY={SECRET}",
        SECRET,
        f"DATABASE_URL=mysql://u:{SECRET}@h/d",
        f"REDIS_URL=http://:{SECRET}@h",
        f"REDIS_URL=redis://:{SECRET}@[h",
        f"DATABASE_URL=postgresql://u:{SECRET}@h:x/d",
        f"ALLOCATIONS_API_KEY=a\nALLOCATIONS_API_KEY={SECRET}",
    ],
)
def test_a_refusal_never_shows_a_secret(env_file: EnvFile, line: str) -> None:
    env_file(line + "\n")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert SECRET not in str(refused.value)
    assert refused.value.__context__ is None


def test_constructing_with_a_bad_secret_does_not_show_it() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.from_flat({"database_url": f"mysql://u:{SECRET}@h/d"})
    assert SECRET not in str(refused.value)


def test_settings_never_show_secrets() -> None:
    settings = Settings.from_flat(
        {
            "management_api_key": SECRET,
            "database_url": f"postgresql://u:{SECRET}@localhost/d",
            "redis_url": f"redis://:{SECRET}@localhost",
        }
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_the_database_is_reached_by_the_driver_that_is_installed() -> None:
    assert (
        Settings.from_flat({"database_url": "postgresql://me@/x"}).stores.database_url == "postgresql+psycopg2://me@/x"
    )


def test_secret_values_are_the_keys_and_the_passwords_inside_urls() -> None:
    settings = Settings.from_flat({"management_api_key": SECRET, "database_url": "postgresql://u:p%40ss@[::1]/d"})
    assert settings.secret_values() == {SECRET, "p%40ss", "p@ss"}


def test_a_secret_that_is_needed_but_not_set_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="REALTIME_API_KEY is not set"):
        Settings.from_flat().signals.require("realtime_api_key")


@pytest.mark.parametrize(("mode", "port"), [("live", 4002), ("live", 4004), ("paper", 4001), ("paper", 7496)])
def test_a_port_of_the_other_trading_mode_is_refused(monkeypatch: pytest.MonkeyPatch, mode: str, port: int) -> None:
    monkeypatch.setenv("TRADING_MODE", mode)
    monkeypatch.setenv("IB_PORT", str(port))
    assert f"IB_PORT = {port} is a port of the other mode" in _problems()[0]


def test_an_unusual_port_serves_either_mode() -> None:
    assert Settings.from_flat({"trading_mode": TradingMode.LIVE, "ib_port": 14001}).broker.ib_port == 14001


def test_settings_are_frozen_and_know_their_fields() -> None:
    settings = Settings.from_flat()
    with pytest.raises(ValidationError):
        setattr(settings, "broker", settings.broker)  # noqa: B010 - mypy refuses the assignment itself
    with pytest.raises(ValidationError):
        setattr(settings.broker, "ib_port", 1)  # noqa: B010 - likewise
    with pytest.raises(ValidationError):
        Settings.from_flat({"ib_prot": 1})


def test_a_name_means_one_setting_whatever_the_group() -> None:
    groups = [group.annotation for group in Settings.model_fields.values()]
    names = [name for group in groups if group is not None for name in group.model_fields]
    assert sorted(names) == sorted(FIELDS)
    assert Settings.from_flat({"ib_port": 14001, "lease_s": 7}).flat().items() >= {("ib_port", 14001), ("lease_s", 7)}


def test_a_change_is_checked_as_the_whole_is() -> None:
    settings = Settings.from_flat({"order_type": "LMT", "redis_password": SECRET})
    assert settings.changed(extended_hours_enabled=True).orders.extended_hours_enabled
    assert settings.changed(lease_s=7).stores == settings.stores
    with pytest.raises(ValidationError, match="MARKET_CLOSE_CUTOFF_S = 300 is less than ORDER_TIMEOUT_S = 301"):
        settings.changed(order_timeout_s=301)


def test_percentages_become_fractions() -> None:
    settings = Settings.from_flat({"drift_band_percent": Decimal("2.5"), "price_margin_percent": Decimal("0.5")})
    assert settings.orders.drift_band == Decimal("0.025")
    assert settings.orders.price_margin == Decimal("0.005")
    assert Settings.from_flat().orders.fee_schedule == FeeSchedule()


def test_the_base_url_loses_its_last_slash() -> None:
    assert (
        Settings.from_flat({"allocations_base_url": "http://localhost:1/x/"}).signals.allocations_base_url
        == "http://localhost:1/x"
    )


@pytest.mark.parametrize("url", ["http://[x", "http://h:99999", "http://:80", "ftp://h", "h", "http://h/?q"])
def test_a_url_that_no_client_could_use_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALLOCATIONS_BASE_URL", url)
    assert _problems()[0].startswith(f"environment: ALLOCATIONS_BASE_URL = {url!r} is refused: use http:// or https://")


@given(st.decimals(min_value=0, max_value=50, allow_nan=False, allow_infinity=False))
def test_decimals_are_read_digit_by_digit(value: Decimal) -> None:
    assert Settings.from_flat({"drift_band_percent": str(value)}).orders.drift_band_percent == value


@pytest.mark.parametrize("text", ["NaN", "inf", "-0.1", "1e400", "", "0x10"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Settings.from_flat({"order_timeout_s": text})
    with pytest.raises(ValidationError):
        Settings.from_flat({"fee_minimum": text})


def test_a_secret_may_stand_in_a_file_of_its_own(
    tmp_path: Path, env_file: EnvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    env_file(f"ALLOCATIONS_API_KEY_FILE={tmp_path / 'key'}\n")
    monkeypatch.setenv("REBALANCE_EVENT_SUBSCRIPTION_API_KEY_FILE", str(tmp_path / "key"))
    assert load_settings().signals.require("allocations_api_key") == SECRET
    assert load_settings().signals.require("realtime_api_key") == SECRET


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "names a file that cannot be read"),
        (b"\n", "which is empty: write the secret into it"),
        (b"\xff", "codec"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_told(
    tmp_path: Path, env_file: EnvFile, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    env_file(f"MANAGEMENT_API_KEY_FILE={tmp_path / 'key'}\n")
    assert len(_problems()) == 1
    assert _problems()[0].startswith(".env:1: MANAGEMENT_API_KEY_FILE names ")
    assert told in _problems()[0]


def test_a_refused_secret_of_a_file_names_the_file_and_not_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(f"{SECRET} and more", encoding="utf-8")
    monkeypatch.setenv("MANAGEMENT_API_KEY_FILE", str(tmp_path / "key"))
    assert SECRET not in _problems()[0]
    assert _problems()[0].startswith(f"{tmp_path / 'key'}, from environment: MANAGEMENT_API_KEY = (not shown)")


def test_a_secret_and_its_file_are_a_repetition(env_file: EnvFile, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file("REDIS_PASSWORD=a\nREDIS_PASSWORD_FILE=b\n")
    assert ".env:2: REDIS_PASSWORD_FILE was set before at .env:1: keep one" in _problems()
    env_file("")
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", "b")
    assert "environment: REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set: keep one" in _problems()


@pytest.mark.parametrize(
    ("field", "url", "joined"),
    [
        (
            "database",
            "postgresql+psycopg2://me@localhost:5432/led",
            "postgresql+psycopg2://me:a%2Fb%40c@localhost:5432/led",
        ),
        ("redis", "rediss://cache:6379/0", "rediss://:a%2Fb%40c@cache:6379/0?ssl_cert_reqs=required"),
        ("redis", None, "redis://:a%2Fb%40c@localhost:6379/0"),
    ],
)
def test_a_password_joins_its_url(monkeypatch: pytest.MonkeyPatch, field: str, url: str | None, joined: str) -> None:
    monkeypatch.setenv(f"{field.upper()}_PASSWORD", "a/b@c")
    if url:
        monkeypatch.setenv(f"{field.upper()}_URL", url)
    assert load_settings().flat()[f"{field}_url"] == joined
    assert {"a/b@c", "a%2Fb%40c"} <= load_settings().secret_values()


def test_two_passwords_for_one_url_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@localhost")
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    assert _problems() == ["REDIS_URL has a password in it and REDIS_PASSWORD is set too: keep one"]


def test_a_simulation_reads_secrets_in_files_but_no_env_file(
    env_file: EnvFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file("IB_HOST=real\nTRADNG_MODE=live\n")
    (tmp_path / "key").write_text(f"{SECRET}\n")
    monkeypatch.setenv("MANAGEMENT_API_KEY_FILE", str(tmp_path / "key"))
    settings = read_settings(env_file=False)
    assert settings.broker.ib_host == "127.0.0.1"
    assert settings.api.require("management_api_key") == SECRET


def test_a_url_with_a_password_in_the_environment_wins_over_a_password_in_the_file(
    env_file: EnvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the programs of a stack have it, whose owner keeps DATABASE_PASSWORD in .env."""
    env_file("DATABASE_URL=postgresql+psycopg2://me@localhost/ledger\nDATABASE_PASSWORD=from-file\n")
    url = "postgresql+psycopg2://me:from-file@localhost/ledger"
    monkeypatch.setenv("DATABASE_URL", url)
    assert load_settings().stores.database_url == url


def test_settings_that_have_not_changed_are_the_same_object_and_changed_ones_are_read(env_file: EnvFile) -> None:
    """Every process looks four times a minute whether it still works with what the files say."""
    env_file("RETRY_DELAY_S=30\n")
    first = load_settings()
    assert load_settings() is first
    env_file("RETRY_DELAY_S=40\n")
    assert load_settings().events.retry_delay_s == 40
    env_file("RETRY_DELAY_S=0\n")
    for _ in range(2):
        assert any("RETRY_DELAY_S" in line for line in _problems())
    env_file("RETRY_DELAY_S=30\n")
    assert load_settings() == first
