"""The accounts and replacement-set files: both generations read, everything doubtful refused."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.config.accounts_file import (
    Account,
    AccountEntry,
    Accounts,
    load_accounts,
    load_replacement_sets,
)
from rebalancer.config.yaml_file import read_yaml
from rebalancer.domain.accounts import AccountRules, ApprovalMode, Fx, OwnLimits, TradingMode
from rebalancer.domain.errors import ConfigurationError, UnknownAccount
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Replacement
from rebalancer.domain.symbols import Pin

ROOT = Path(__file__).parents[2]
SETS = {"ira": (Replacement("UUP", "USDU", Decimal(1)),)}
Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("a.yaml").write_text(text, encoding="utf-8")
        return Path("a.yaml")

    return write


def _one(**keys: str) -> str:
    fields = {"account_id": "DU1", "type": "paper", "strategy_name": "s", **keys}
    return "accounts: [{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}]"


def _refusals(path: Path, mode: TradingMode = TradingMode.PAPER) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load_accounts(path, SETS, mode)
    return refused.value.problems


def _set_refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load_replacement_sets(path)
    return refused.value.problems


def test_the_shipped_files_are_the_sandboxes_seven_accounts() -> None:
    sets = load_replacement_sets(ROOT / "replacement-sets.yaml")
    accounts = load_accounts(ROOT / "accounts.yaml", sets)
    assert [account.account_id for account in accounts] == [f"DU100000{n}" for n in range(1, 8)]
    assert accounts.strategies(TradingMode.PAPER) == ("etf-blend-301-20",)
    assert [account.account_id for account in accounts if account.replacement_set == "ira"] == ["DU1000003"]
    assert all(0 <= account.cash_reserve <= Decimal("0.02") for account in accounts)


def test_the_shipped_ira_set() -> None:
    rules = load_replacement_sets(ROOT / "replacement-sets.yaml")["ira"]
    assert [(rule.source, rule.target, rule.scale) for rule in rules] == [
        ("DBC", "PDBC", Decimal("1.0")),
        ("UUP", "USDU", Decimal("1.0")),
        ("VIXY", "VXX", Decimal("1.0")),
        ("VIXM", "VXZ", Decimal("1.0")),
        ("UVXY", "VXX", Decimal("1.5")),
        ("SVXY", "USMV", Decimal("1.0")),
    ]


def test_the_second_generation_with_every_key(written: Written) -> None:
    text = _one(
        account_id="U1",
        type="live",
        enabled="false",
        cash_reserve_percent="0.10",
        replacement_set="ira",
        pdt_protection_enabled="true",
        broker="ibkr",
    )
    assert load_accounts(written(text), SETS).all == (
        Account("U1", TradingMode.LIVE, False, "s", Decimal("0.10"), "ira", True),
    )


def test_the_second_generations_defaults(written: Written) -> None:
    account = load_accounts(written(_one()), SETS).get("DU1")
    assert account == Account("DU1", TradingMode.PAPER, True, "s", Decimal("1.0"), None, False)


@pytest.mark.parametrize("key", ["equity_reserve_percentage", "cash_reserve_percentage", "cash_reserve_percent"])
@pytest.mark.parametrize(("mode", "account_id"), [(TradingMode.PAPER, "DU1"), (TradingMode.LIVE, "U1")])
def test_the_first_generation_takes_the_processes_type(
    written: Written, key: str, mode: TradingMode, account_id: str
) -> None:
    path = written(
        f"- account_id: {account_id}\n  notification: {{channel: s-100}}\n  rebalancing: {{{key}: 2.5}}\n"
        f"- {{account_id: {account_id}9, notification: {{channel: s-200}}}}\n"
    )
    assert load_accounts(path, SETS, mode).all == (
        Account(account_id, mode, True, "s-100", Decimal("2.5"), None, False),
        Account(f"{account_id}9", mode, True, "s-200", Decimal("1.0"), None, False),
    )


def test_every_rule_of_an_account_is_read(written: Written) -> None:
    text = _one(
        allow_large_reserve="true",
        cash_reserve_percent="60",
        allow_cash_share="true",
        hold="[BRK B, AAPL]",
        cooldown_days="7",
        approval="notify-then-wait",
        approval_wait_minutes="30",
        max_order_usd="5000",
        max_order_percent="20",
        max_day_turnover_percent="50",
        max_day_orders="9",
    )
    account = load_accounts(written(text), SETS).get("DU1")
    assert account.cash_reserve == Decimal("0.6")
    assert account.rules == AccountRules(
        ZERO,
        allow_cash_share=True,
        hold=("BRK B", "AAPL"),
        approval=ApprovalMode.NOTIFY,
        approval_wait_minutes=30,
        cooldown_days=7,
        limits=OwnLimits(Decimal(5000), Decimal(20), Decimal(50), 9),
    )


def test_a_fixed_reserve_stands_in_place_of_the_percentage(written: Written) -> None:
    account = load_accounts(written(_one(cash_reserve_usd="2500")), SETS).get("DU1")
    assert (account.cash_reserve, account.rules.reserve_usd) == (0, 2500)
    twice = _one(cash_reserve_usd="2500", cash_reserve_percent="1")
    assert _refusals(written(twice)) == [
        "a.yaml:1: accounts[0] sets the reserve twice: keep cash_reserve_percent or cash_reserve_usd"
    ]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"hold": "AAPL"}, "hold has to be a list of ticker symbols in capitals, or a mapping of them to shares"),
        (
            {"hold": "[aapl]"},
            "hold has 'aapl': use a list of ticker symbols in capitals, or a mapping of them to shares",
        ),
        ({"cooldown_days": "1.5"}, "cooldown_days = 1.5 is refused: use 0 to 366 (default 0)"),
        ({"approval": "ask"}, "approval = 'ask' is refused: use auto or notify-then-wait or manual (default auto)"),
        ({"max_day_orders": "-1"}, "max_day_orders = -1 is refused: use 0 to 10000 (optional)"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(written: Written, keys: dict[str, str], problem: str) -> None:
    assert _refusals(written(_one(**keys))) == [f"a.yaml:1: accounts[0].{problem}"]


def test_the_first_generations_two_names_of_the_reserve_exclude_each_other(written: Written) -> None:
    keys = "{equity_reserve_percentage: 1, cash_reserve_percentage: 1}"
    path = written(f"- {{account_id: DU1, notification: {{channel: s}}, rebalancing: {keys}}}\n")
    assert _refusals(path) == ["a.yaml:1: [0].rebalancing sets the reserve twice: keep cash_reserve_percentage"]


BETWEEN = """accounts:
  - account_id: DU1
    type: paper
    notification:
      channel: s
    rebalancing:
      cash_reserve_percent: 1.0
replacement_sets:
  ira:
    - {source: DBC, target: PDBC, scale: 1.0}
"""


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            BETWEEN,
            [
                "a.yaml:9: replacement_sets is of an earlier program: "
                "move its sets to the replacement-sets file, without this key",
                "a.yaml:2: accounts[0].strategy_name is missing: "
                "use a letter or digit, then text without spaces (required)",
                "a.yaml:5: accounts[0].notification is of an earlier program: "
                "write its channel as strategy_name, beside account_id",
                "a.yaml:7: accounts[0].rebalancing is of an earlier program: "
                "write its reserve as cash_reserve_percent, beside account_id",
            ],
        ),
        (
            "- account_id: DU1\n  notification: {channel: s}\n  allocations: {url: 'https://a.example/s/allocations'}\n",
            [
                "a.yaml:3: [0].allocations is of an earlier program: remove it; "
                "ALLOCATIONS_BASE_URL in .env is its url without /<strategy>/allocations, for all accounts"
            ],
        ),
        (
            _one(auto_deploy_remaining_cash="false"),
            [
                "a.yaml:1: accounts[0].auto_deploy_remaining_cash is of an earlier program: remove it; "
                "whole shares are chosen nearest to the targets, within the cash"
            ],
        ),
        (
            "- {account_id: DU1, notification: {channel: s}, replacement_set: ira}\n",
            [
                "a.yaml:1: [0].replacement_set is of an earlier program: "
                "it belongs to today's form: write the list under the key accounts"
            ],
        ),
    ],
)
def test_keys_of_earlier_programs_say_how_they_are_written_today(
    written: Written, text: str, problems: list[str]
) -> None:
    assert _refusals(written(text)) == problems


def test_symbols_may_be_pinned_to_an_exchange_or_a_contract(written: Written) -> None:
    accounts = load_accounts(written(f"instruments: {{BRK.B: NYSE, CASH: NASDAQ, TWO: 265598}}\n{_one()}"), SETS)
    assert accounts.pins == {
        "BRK B": Pin(exchange="NYSE"),
        "CASH": Pin(exchange="NASDAQ"),
        "TWO": Pin(contract_id=265598),
    }
    assert accounts.get("DU1").rules.pinned == {"BRK B", "CASH", "TWO"}
    assert load_accounts(written(_one()), SETS).pins == {}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("{GLD: LSEETF}", "instruments.GLD = LSEETF is refused: use a contract id of IBKR or one of AMEX, ARCA, "),
        ("{GLD: 0}", "instruments.GLD = 0 is refused: "),
        ("{GLD: 1.5}", "instruments.GLD = 1.5 is refused: "),
        ("{GLD: [1]}", "instruments.GLD = [Decimal('1')] is refused: "),
        ("{gld: ARCA}", "instruments.gld is no ticker symbol in capitals"),
        ("{BRK.B: NYSE, BRK-B: NYSE}", "instruments.BRK-B is there twice under two spellings: keep one"),
        ("[GLD]", "instruments has to map ticker symbols to an exchange or a contract id"),
    ],
)
def test_a_pin_that_cannot_be_meant_is_refused(written: Written, rows: str, problem: str) -> None:
    (found,) = _refusals(written(f"instruments: {rows}\n{_one()}"))
    assert found.startswith(f"a.yaml:1: {problem}")


def test_a_misspelt_pinning_key_is_told(written: Written) -> None:
    assert _refusals(written(f"instrument: {{}}\n{_one()}")) == [
        "a.yaml:1: instrument is unknown: did you mean instruments?"
    ]


def test_every_problem_is_told_at_once_with_line_key_value_and_remedy(written: Written) -> None:
    path = written(
        """accounts:
  - account_id: DU1
    type: papr
    strategy_name: 301
  - account_id: du2
    type: paper
    startegy_name: s
    enabled: yes
    cash_reserve_percent: 50
  - account_id: DU3
    type: live
    strategy_name: s
    replacement_set: irra
  - hello
  - {account_id: DU3, type: paper, strategy_name: s, cash_reserve_percent: "1.0", broker: other}
  - {account_id: DU3, type: paper, strategy_name: s}
accuonts: []
"""
    )
    assert sorted(_refusals(path), key=lambda problem: int(problem.split(":")[1])) == [
        "a.yaml:3: accounts[0].type = 'papr' is refused: use paper or live (required)",
        "a.yaml:4: accounts[0].strategy_name = 301 is refused: "
        "use a letter or digit, then text without spaces (required)",
        "a.yaml:5: accounts[1].account_id = 'du2' is refused: "
        "use 1-3 capitals and digits, such as DU1234567 (required)",
        "a.yaml:5: accounts[1].strategy_name is missing: use a letter or digit, then text without spaces (required)",
        "a.yaml:7: accounts[1].startegy_name is unknown: did you mean strategy_name?",
        "a.yaml:8: accounts[1].enabled = 'yes' is refused: use true or false (default true)",
        "a.yaml:9: accounts[1].cash_reserve_percent = 50 is refused: "
        "use 0 to 10; to 100 with allow_large_reserve (default 1.0)",
        "a.yaml:10: accounts[2].account_id = DU3 is a paper account, but its type (or TRADING_MODE) is live",
        "a.yaml:13: accounts[2].replacement_set = 'irra' is unknown: did you mean ira?",
        "a.yaml:14: accounts[3] has to be a mapping with the keys account_id, type, enabled, strategy_name, "
        "allow_large_reserve, cash_reserve_percent, cash_reserve_usd, allow_cash_share, reserve_symbol, strategies, "
        "stale_member, fx, fx_reserve, fx_back, hold, replacement_set, pdt_protection_enabled, cooldown_days, "
        "invest_idle_cash_after, approval, "
        "approval_wait_minutes, max_order_usd, max_order_percent, max_day_turnover_percent, max_day_orders, gateway, "
        "broker, order_style, name, notify",
        "a.yaml:15: accounts[4].cash_reserve_percent = '1.0' is refused: "
        "use 0 to 10; to 100 with allow_large_reserve (default 1.0)",
        "a.yaml:15: accounts[4].broker = 'other' is refused: use ibkr (default ibkr)",
        "a.yaml:15: accounts[4].account_id = DU3 is there twice, first at a.yaml:10: accounts[2].account_id: keep one",
        "a.yaml:16: accounts[5].account_id = DU3 is there twice, first at a.yaml:10: accounts[2].account_id: keep one",
        "a.yaml:17: accuonts is unknown: did you mean accounts?",
    ]


def test_a_way_back_needs_a_way_there_and_a_fund_stands_in_nobodys_way(written: Written) -> None:
    (problem,) = _refusals(written(_one(fx_back="convert")))
    assert "fx_back = convert needs fx: convert" in problem
    assert "write both" in problem
    rules = load_accounts(written(_one(fx="convert", fx_back="convert", reserve_symbol="SGOV")), SETS).get("DU1").rules
    assert (rules.fx, rules.fx_back, rules.reserve_symbol) == (Fx.CONVERT, Fx.CONVERT, "SGOV")
    assert load_accounts(written(_one(fx="convert", fx_back="off")), SETS).get("DU1").rules.fx_back is Fx.OFF


@pytest.mark.parametrize(
    ("account_id", "kind"), [("DU1", "live"), ("DF1", "live"), ("U1", "paper"), ("F1", "paper"), ("I12", "paper")]
)
def test_an_id_that_belies_its_type_is_refused(written: Written, account_id: str, kind: str) -> None:
    (problem,) = _refusals(written(_one(account_id=account_id, type=kind)))
    assert f"{account_id} is a " in problem


@pytest.mark.parametrize("mode", list(TradingMode))
def test_a_first_generation_account_of_the_other_world_is_refused(written: Written, mode: TradingMode) -> None:
    account_id = "U1" if mode is TradingMode.PAPER else "DU1"
    (problem,) = _refusals(written(f"- {{account_id: {account_id}, notification: {{channel: s}}}}"), mode)
    assert problem.endswith(f"but its type (or TRADING_MODE) is {mode}")


@pytest.mark.parametrize("account_id", ["", "U", "1234567", "DUUU1", "DU 1", "DU1x", "'DU1\n'", "DU\u0661"])
def test_what_is_no_account_id_is_refused(written: Written, account_id: str) -> None:
    assert "account_id" in _refusals(written(_one(account_id=account_id)))[0]


@pytest.mark.parametrize(
    "text",
    ["", "# only a comment\n", "accounts:\n", "accounts: []\n", "[]\n", "{}\n", "accounts: {DU1: s}\n", "hello\n"],
)
def test_a_file_without_accounts_is_refused(written: Written, text: str) -> None:
    assert _refusals(written(text))[0].startswith("a.yaml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in _refusals(tmp_path / "absent.yaml")[0]
    (tmp_path / "latin.yaml").write_bytes(b"accounts: # M\xfcller")
    assert "is not written in UTF-8: save it in that encoding" in _refusals(tmp_path / "latin.yaml")[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: {c: 1, c: 1}\n", "a.yaml:2: b.c was set before in line 2: keep one"),
        ("a: 1\n\na: 1\n", "a.yaml:3: a was set before in line 1: keep one"),
        ("a: &x 1\nb: *x\n", "a.yaml:2: is not YAML: aliases and tags are not supported"),
        ("a: !!python/name:os.system\n", "a.yaml:1: is not YAML: aliases and tags are not supported"),
        ("a: [!!str 1]\n", "a.yaml:1: is not YAML: aliases and tags are not supported"),
        ("[1]: 2\n", "a.yaml:1: a key has to be text"),
        ("a: [\n", "a.yaml:2: is not YAML: "),
        ("a: 1\n---\nb: 1\n", "a.yaml:2: is not YAML: "),
        ("[" * 50 + "]" * 50, "a.yaml:1: is nested too deeply"),
        ("[" * 5_000, "a.yaml:1: is nested too deeply"),
        ("a: " + "{b: " * 5_000, "a.yaml:1: is nested too deeply"),
        ("a: \x07\n", "a.yaml: is not YAML: "),
    ],
)
def test_yaml_beyond_what_a_configuration_needs_is_refused(written: Written, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_yaml(written(text))
    assert refused.value.problems[0].startswith(problem)


def test_symbols_and_numbers_are_read_as_written(written: Written) -> None:
    path = written('a: [ON, NO, Y, yes, 0x10, 1_000, 1:30, 1e3, 0.1, -1, "7", true, ~, .nan]')
    assert read_yaml(path).content == {
        "a": [
            *("ON", "NO", "Y", "yes", "0x10", "1_000", "1:30"),
            *(Decimal("1e3"), Decimal("0.1"), Decimal(-1), "7", True, None, ".nan"),
        ]
    }


@given(st.decimals(min_value=0, max_value=10, allow_nan=False, allow_infinity=False))
def test_every_reserve_in_range_is_kept_digit_by_digit(percent: Decimal) -> None:
    entry = AccountEntry(
        account_id="DU1", type=TradingMode.PAPER, strategy_name="s", cash_reserve_percent=percent
    ).account()
    assert str(entry.cash_reserve_percent) == str(percent)
    assert entry.cash_reserve * 100 == percent or abs(entry.cash_reserve * 100 - percent) < Decimal("1e-20")


@pytest.mark.parametrize("value", ["-0.01", "10.001", ".nan", ".inf", "1e400", "true", "[1]", "null", "ten"])
def test_every_other_reserve_is_refused(written: Written, value: str) -> None:
    (problem,) = _refusals(written(_one(cash_reserve_percent=value)))
    assert problem.startswith("a.yaml:1: accounts[0].cash_reserve_percent")
    assert problem.endswith("use 0 to 10; to 100 with allow_large_reserve (default 1.0)")


def _accounts() -> Accounts:
    return Accounts(
        (
            Account("DU1", TradingMode.PAPER, True, "a", Decimal(1), None, False),
            Account("DU2", TradingMode.PAPER, False, "b", Decimal(1), None, False),
            Account("DU3", TradingMode.PAPER, True, "b", Decimal(1), None, False),
            Account("U1", TradingMode.LIVE, True, "c", Decimal(1), None, False),
        )
    )


def test_a_signal_reaches_enabled_accounts_of_the_trading_mode_only() -> None:
    accounts = _accounts()
    assert [account.account_id for account in accounts.following("b", TradingMode.PAPER)] == ["DU3"]
    assert accounts.following("c", TradingMode.PAPER) == ()
    assert accounts.strategies(TradingMode.PAPER) == ("a", "b")
    assert accounts.strategies(TradingMode.LIVE) == ("c",)


def test_an_unknown_account_is_told_with_the_known_ones() -> None:
    assert _accounts().get("U1").strategy == "c"
    with pytest.raises(UnknownAccount, match="U9 is not configured; known are DU1, DU2, DU3, U1"):
        _accounts().get("U9")
    assert len(_accounts()) == 4


def test_wrong_replacement_sets_are_refused_with_every_problem(written: Written) -> None:
    path = written(
        """a:
  - {source: SPY, target: SPY, scale: 1}
  - {source: A, target: B, scale: 0}
  - {source: A, target: B, scale: .nan}
  - {source: C, target: D, scale: 1}
  - {source: C, target: E, scale: 1}
  - {source: F, target: C, scale: 1}
  - {source: g, target: H, scale: 11, why: not}
b: []
c: text
"""
    )
    assert sorted(_set_refusals(path), key=lambda problem: int(problem.split(":")[1])) == [
        "a.yaml:2: a[0] replaces SPY by itself: remove it",
        "a.yaml:3: a[1].scale = 0 is refused: use more than 0, at most 10 (required)",
        "a.yaml:4: a[2].scale = '.nan' is refused: use more than 0, at most 10 (required)",
        "a.yaml:6: a[4].source = C is replaced twice, first at a.yaml:5: a[3].source: keep one",
        "a.yaml:7: a[5].target = C is itself replaced at a.yaml:5: a[3].source: name its target",
        "a.yaml:8: a[6].source = 'g' is refused: use a ticker symbol in capitals (required)",
        "a.yaml:8: a[6].scale = 11 is refused: use more than 0, at most 10 (required)",
        "a.yaml:8: a[6].why is unknown: known are scale, source, target",
        "a.yaml:9: b has to be a list of rules with source, target and scale",
        "a.yaml:10: c has to be a list of rules with source, target and scale",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", "- {source: A, target: B, scale: 1}"])
def test_a_file_without_replacement_sets_is_refused(written: Written, text: str) -> None:
    assert _set_refusals(written(text))[0].startswith("a.yaml: ")


def test_symbols_with_a_share_class_and_yaml_words_are_symbols(written: Written) -> None:
    rules = load_replacement_sets(written("a: [{source: BRK B, target: ON, scale: 0.5}]"))["a"]
    assert rules == (Replacement("BRK B", "ON", Decimal("0.5")),)


def test_a_class_of_shares_is_one_symbol_however_it_is_written(written: Written) -> None:
    rules = load_replacement_sets(written("a: [{source: BRK/B, target: BF-B, scale: 1}]"))["a"]
    assert rules == (Replacement("BRK B", "BF B", Decimal(1)),)
    assert load_accounts(written(_one(hold="[BRK.B, RDS-A]")), SETS).get("DU1").rules.hold == ("BRK B", "RDS A")
    twice = "a: [{source: BRK.B, target: X, scale: 1}, {source: BRK-B, target: Y, scale: 1}]"
    assert "BRK B is replaced twice" in _set_refusals(written(twice))[0]
