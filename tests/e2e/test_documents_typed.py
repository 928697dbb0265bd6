"""What docs/getting-started.md and README.md tell a newcomer to type, typed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.shell import KEY, Shell, answer_init, empty_folder, provider
from tests.integration.ibkr.serving import ServedGateway
from tests.terminal import terminal

pytestmark = pytest.mark.timeout(400)
ACCOUNT = "DU1000001"
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^(?:make |\. |[A-Z_]+=\.\.\. |rebalancer |curl )", re.MULTILINE)
CELL = re.compile(r"`((?:rebalancer|celery|GET|DELETE) [^`]+)`")
EVENT = re.compile(r"rebalancer event ([0-9a-f-]{36})")


def blocks(document: Path) -> list[list[str]]:
    """Lines to be typed, by block; a continued line is one, and what a program says is none."""
    found = (block.replace("\\\n", " ").splitlines() for block in BLOCK.findall(document.read_text()))
    return [lines for block in found if (lines := [line for line in block if TYPED.match(line)])]


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A copy of the repository, as far as it is needed: the environment is there already."""
    with empty_folder() as made:
        (made.folder / ".venv").symlink_to(Path(os.environ.get("VIRTUAL_ENV") or ROOT / ".venv"))
        for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
            (made.folder / name).symlink_to(ROOT / name)
        yield made


def test_a_newcomer_types_both_documents(shell: Shell) -> None:
    start, *rest = blocks(ROOT / "docs/getting-started.md")
    assert start == ["make install", ". .venv/bin/activate", "rebalancer --install-completion"]
    shell.expect(f"make --old-file=.venv/.ready install && {start[1]} && rebalancer --version")
    with provider() as (gateway, allocations):
        assert rest.pop(0) == ["rebalancer init"]
        answer_init(shell, gateway, allocations, ("init",))
        (by_script,) = rest.pop(0)
        options = f"--port {gateway.port} --allocations-url {allocations.url} --force"
        keys = by_script.replace("ALLOCATIONS_API_KEY=...", f"ALLOCATIONS_API_KEY={KEY}").replace("=...", "=")
        shell.expect(f"{keys} {options}", 0, "Written: .env")
        assert rest.pop(0) == ["rebalancer up"]
        with shell.started("rebalancer up", "Ctrl-C stops everything"):
            shell.wait_until_healthy()
            _second_terminal(shell, rest)
            _readme(shell, gateway)


def _second_terminal(shell: Shell, rest: list[list[str]]) -> None:
    assert rest.pop(0) == ["rebalancer doctor"]
    examined = shell.run("rebalancer doctor")
    wrong = [line for line in examined.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split(":")[0] for line in wrong] == ["FAIL REALTIME_API_KEY"], examined.stdout
    dry, live, event = rest.pop(0)
    assert rest == []
    shell.expect(literal(dry), 0, "No order: " if "No order" in dry else "BTAL")
    (event_id,) = EVENT.findall(shell.expect(literal(live), 0, "Live rebalancing completed successfully"))
    shell.expect(literal(event, event_id), 0, "rebalance of DU1000001")


def _readme(shell: Shell, gateway: ServedGateway) -> None:
    """Every row of the table, and the request below it."""
    text = (ROOT / "README.md").read_text()
    rows = [CELL.findall(line) for line in text.splitlines() if line.startswith("| ")]
    lines = [line for row in rows for line in row]
    assert len(lines) >= 10
    shell.expect("rebalancer halt DU1000002")
    for line in lines:
        _type(shell, line)
    assert gateway.do(lambda served: len(served.orders)) > 0
    ((request,),) = [block for block in blocks(ROOT / "README.md") if block[0].startswith("curl")]
    told = shell.expect(f"""eval "$(rebalancer env 2>/dev/null)"; {literal(request)} --silent --noproxy '*'""")
    assert json.loads(told[told.index("{") :])["event_id"]


def _type(shell: Shell, line: str) -> None:
    if line == "rebalancer watch":
        with terminal(shell.folder, "watch", environment=shell.environment) as shown:
            shown.until(ACCOUNT)
            assert shown.interrupt() == 0
        return
    event_id = ""
    if "ID" in line.split() or line.endswith("/ID"):
        asked = shell.run("rebalancer submit DU1000002 rebalance --json")
        event_id = json.loads(asked.stdout)["event_id"]
    typed = literal(line, event_id)
    if line.startswith(("GET", "DELETE")):
        method, path = typed.split()
        key = '-H "Authorization: Bearer $MANAGEMENT_API_KEY"'
        typed = f'eval "$(rebalancer env 2>/dev/null)"; curl -sf --noproxy "*" -X {method} {key} '
        typed += f'"http://127.0.0.1:$API_PORT{path}"'
    done = shell.run(typed)
    assert done.returncode == (1 if line == "rebalancer doctor" else 0), f"$ {typed}\n{done.stdout}{done.stderr}"


def literal(line: str, event_id: str = "") -> str:
    """A line of a document with an account and an event that exist."""
    return re.sub(r"\bID\b", event_id, line.replace("DU1234567", ACCOUNT))
