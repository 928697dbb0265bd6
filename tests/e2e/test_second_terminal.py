"""`rebalancer up --sandbox` where `init` wrote its files, and every command from a shell that knows only the folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from rebalancer.cli.main import COMMANDS
from tests.e2e.shell import Shell, answer_init, empty_folder, provider
from tests.terminal import terminal
from tests.unit.test_documents import COMMANDS as TREE
from tests.world import until

pytestmark = pytest.mark.timeout(400)
USING = "Using the stack that runs in .rebalancer (sandbox)."


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """In the folder of a running stack."""
    with empty_folder() as made:
        with provider() as (gateway, allocations):
            answer_init(made, gateway, allocations, ("init",))
        assert not (made.folder / "replacement-sets.yaml").exists()
        accounts = made.folder / "accounts.yaml"
        text = accounts.read_text()
        for account in ("DU1000005", "DU1000006"):
            text = text.replace(f"account_id: {account}\n", f"account_id: {account}\n    approval: manual\n")
        accounts.write_text(text)
        with made.started("rebalancer up --sandbox", "Ctrl-C stops everything"):
            made.wait_until_healthy()
            yield made


def test_every_command_finds_the_stack(shell: Shell) -> None:
    typed: list[str] = []

    def on(line: str, code: int = 0, told: str = "") -> str:
        typed.append(line)
        shown = shell.expect(f"rebalancer {line}", code, told)
        assert USING in shown or line.split(maxsplit=1)[0] in ("ps", "doctor"), f"$ {line}\n{shown}"
        return shown

    on("doctor", 0, "stack: Using the stack that runs in .rebalancer (sandbox).")
    on("ps", 0, "API and web page")
    on("health", 0, "waiting or running: nothing")
    on("accounts", 0, "DU1000007")
    event = re.findall(r"rebalancer event ([0-9a-f-]{36})", on("rebalance DU1000001", 0, "completed successfully"))[0]
    on(f"event {event[:8]}", 0, "cash")
    on(f"retry {event[:8]}", 2, "no active event")
    on("positions DU1000001", 0, "BTAL")
    on("value DU1000001 --fresh", 0, "net_liquidation")
    on("cash-flows DU1000001", 0, "Nothing came or went")
    on("events", 0, event)
    on("channels", 0, "etf-blend-301-20")
    on("gaps", 0, "No gap is on record.")
    on("halt", 0, "halted")
    on("halts", 0, "halted on the command line")
    on("submit DU1000002 rebalance", 0, "event")
    on("resume", 0, "resumed")
    for account in ("DU1000005", "DU1000006"):
        on(f"rebalance {account}", 1, "approval")
    on("approvals", 0, "DU1000006")
    on("approve DU1000005", 0, "approved")
    on("reject DU1000006", 0, "rejected")
    on("strategy-holds", 0, "No strategy is held.")
    on("release 1", 2, "no strategy hold 1")
    on("withdraw 1", 2, "no strategy hold 1")
    on("remove --all --yes", 0, "events ended")
    on("schedule add DU1000003 daily", 0, "schedule 1")
    on("schedule list", 0, "DU1000003")
    on("schedule change 1 weekly", 0, "schedule 2")
    on("schedule remove 2", 0, "removed")
    on("schedule clear", 0, "removed")
    on("raise-cash DU1000003 500 --by 2199-12-30", 0, "cash plan 1")
    on("cash-plans list", 0, "2199-12-30")
    on("cash-plans cancel 1", 0, "cancelled")
    on("sandbox publish etf-blend-301-20")
    on("signals", 0, "cli")
    on("costs --by symbol", 0, "together: cost")
    on("letter --week 2026-01-05", 0, "Nothing is on record")
    on("sources", 0, "No source")
    on("returns DU1000003", 0, "DU1000003")
    on("replay --set DRIFT_BAND_PERCENT=2", 0, "recorded plans are compared")
    on("sources accept etf-blend-301-20", 2, "etf-blend-301-20")
    until(lambda: "DU1000001" in shell.run("rebalancer statements").stdout)  # ten seconds after beat has asked for them
    on("statements", 0, "DU1000001")
    on("statements fetch", 0, "asked")
    on("audit", 0, "approve")
    on("gains", 0, "In all")
    on("notify list", 0, "Rebalanced")
    on("notify test", 2, "NOTIFY_URLS is not set")
    on("open", 0, "/enter#")
    on("keys add grafana --scope operate", 0, "rbk_")
    on("keys list", 0, "grafana")
    on("keys revoke grafana", 0, "revoked key grafana")
    on("grant application", 0, "role application")
    on("backup copy", 0, "read back and complete")
    exported = json.loads(shell.run("rebalancer env --json").stdout)
    typed.append("env")
    assert exported["IB_HOST"] == "127.0.0.1"
    for words, sign in ((("watch",), "Accounts"), (("events", "--follow"), "Following")):
        typed.append(words[0])
        with terminal(shell.folder, *words, environment=shell.environment) as shown:
            shown.until(sign)
            assert shown.interrupt() == 0
    without = {"init", "up", "down", "restore", "delete-ledger"}  # the next test, and how the stack came about
    known = {name for name in TREE if name and (not name.startswith("sandbox") or name == "sandbox publish")}
    leaves = {name for name in known if not any(other.startswith(f"{name} ") for other in known)}
    assert {name for name in leaves - without if not any(line.startswith(name) for line in typed)} == set()
    first_words = {name.partition(" ")[0] for name in leaves}
    assert {name for commands in COMMANDS.values() for name in commands} <= first_words


def test_celery_finds_it_too(shell: Shell) -> None:
    shell.expect("celery -A tasks inspect ping", 0, USING)
    assert "print-rebalance" in shell.expect("celery -A tasks inspect registered")
    shell.expect("rebalancer halt DU1000007")
    told = shell.expect("rebalancer submit DU1000007 rebalance --json 2>/dev/null")
    shell.expect(f"celery -A tasks control revoke {json.loads(told)['event_id']}", 0, "removed")


def test_other_programs_find_it_by_what_env_prints(shell: Shell) -> None:
    asked = """eval "$(rebalancer env 2>/dev/null)"; cd /; rebalancer health >/dev/null 2>&1 && curl -s --noproxy '*' \
      -H "Authorization: Bearer $MANAGEMENT_API_KEY" "http://127.0.0.1:$API_PORT/audit" """
    assert json.loads(shell.run(asked).stdout)[0]["actor"]


def test_standard_output_is_the_commands_own(shell: Shell) -> None:
    done = shell.run("rebalancer accounts --json")
    assert len(json.loads(done.stdout)) == 7
    assert done.stderr.strip() == USING


def test_another_folder_is_named_by_an_option_or_the_environment(shell: Shell) -> None:
    data = shell.folder / ".rebalancer"
    for line in (f"rebalancer events --data {data}", f"rebalancer --data {data} events"):
        shell.expect(f"cd / && {line}", 0, f"Using the stack that runs in {str(data).lstrip('/')} (sandbox)")
    shell.expect("cd / && celery -A tasks inspect ping", 0, "pong", REBALANCER_DATA=str(data))
    told = "nothing runs in elsewhere (--data): start it with `rebalancer up --data elsewhere`"
    shell.expect("rebalancer halt --data elsewhere", 1, told)
    shell.expect("celery -A tasks inspect ping", 1, "nothing runs in elsewhere", REBALANCER_DATA="elsewhere")


def test_what_is_set_wins_and_is_said(shell: Shell) -> None:
    url = "postgresql+psycopg2://postgres@127.0.0.1:1/x"
    shell.expect("rebalancer events", 1, "Using DATABASE_URL (environment), not the stack that", DATABASE_URL=url)
    refused = shell.expect("rebalancer halt --data .rebalancer", 2, "name different servers", DATABASE_URL=url)
    assert "DATABASE_URL (environment)" in refused


def test_the_end_and_what_is_said_then(shell: Shell) -> None:
    shell.expect("rebalancer down")
    shell.expect("rebalancer ps", 1, "start it with `rebalancer up`")
    told = shell.expect("rebalancer halt", 1, "nothing runs in .rebalancer or .rebalancer/demo here")
    assert "start with `rebalancer up`" in told
    shell.expect("rebalancer restore copy --data .rebalancer --replace", 0, "all trading is halted")
    shell.expect("rebalancer delete-ledger .rebalancer --confirm rebalancer", 2, "nothing was deleted")
    assert (shell.folder / ".rebalancer/postgres/data").exists()
    shell.expect("rebalancer delete-ledger .rebalancer --confirm .rebalancer", 0, "deleted the ledger")
    assert not (shell.folder / ".rebalancer/postgres").exists()
    shell.expect("rebalancer delete-ledger .", 2, "is no data folder")
