"""`make demo` as often as one likes, whatever became of the one before, and `make clean`."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.shell import BIN, Shell, empty_folder, said
from tests.world import until

pytestmark = pytest.mark.timeout(600)
MAKE = f"make --old-file={BIN.parent}/.ready VENV={BIN.parent}"
ON_TARGET = "Every account is on target"


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A copy of the repository, as far as it is needed."""
    with empty_folder() as made:
        for name in ("Makefile", "pyproject.toml", "accounts.yaml", "replacement-sets.yaml"):
            shutil.copy(ROOT / name, made.folder)
        yield made


def test_the_demo_begins_anew_whatever_became_of_the_one_before(shell: Shell) -> None:
    log = shell.folder / "first-terminal.log"
    with shell.started("rebalancer sandbox demo", "live, sells first", ".rebalancer/demo") as killed:
        killed.send_signal(signal.SIGKILL)  # its stack goes on without it, with orders under way
        killed.wait()
        with shell.started(f"{MAKE} demo KEEP=1", "Ctrl-C stops everything", ".rebalancer/demo"):
            assert ON_TARGET in said(log)
            _everything_said_is_true(shell, said(log))
            _clean_spares_other_ledgers(shell)
            until(lambda: "Stopped from elsewhere" in said(log))
    again = shell.expect(f"{MAKE} demo", 0, ON_TARGET)
    assert "127.0.0.1" not in again[again.index(ON_TARGET) :]
    assert "make demo KEEP=1" in again


def _everything_said_is_true(shell: Shell, shown: str) -> None:
    """The page, the key, Flower's login and the commands, from a second terminal."""
    facts = dict(re.findall(r"^(page|management key|Flower|Flower's login) +(\S.*?) *$", shown, re.MULTILINE))
    page, key = facts["page"], facts["management key"]
    curl = "curl -sf --noproxy '*'"
    shell.expect(f"{curl} {page}/livez", 0, "alive")
    shell.expect(f"{curl} -H 'Authorization: Bearer {key}' {page}/audit")
    name, password = facts["Flower's login"].split(" / ")
    shell.expect(f"{curl} -u {name}:{password} {facts['Flower']}/workers", 0, "Flower")
    shell.expect(f"{curl} -u {name}:wrong {facts['Flower']}/workers", 22)
    commands = re.findall(r"^  (\S*rebalancer .*?) *$", shown, re.MULTILINE)
    assert len(commands) == 3
    for line in commands:
        shell.expect(line, 0, "Using the stack that runs in .rebalancer/demo (sandbox).")


def _clean_spares_other_ledgers(shell: Shell) -> None:
    mine = shell.folder / ".rebalancer/postgres/data/PG_VERSION"
    mine.parent.mkdir(parents=True)
    mine.write_text("18")
    venv = shell.folder / ".venv/bin"
    venv.mkdir(parents=True)
    (venv / "rebalancer").symlink_to(BIN / "rebalancer")
    shell.expect("make clean")
    assert mine.exists()
    assert not (shell.folder / ".rebalancer/demo").exists()
    assert not (shell.folder / ".venv").exists()


def test_what_deletes_a_ledger_is_nowhere_but_where_it_is_named() -> None:
    recipe = Path(ROOT / "Makefile").read_text()
    deleting = [line for line in recipe.splitlines() if re.search(r"(?<!-)\brm -", line)]
    assert deleting == ["\trm -rf $(VENV) $(SMOKE) $(MUTATED) $(SITE) mutants .rebalancer/demo"]
