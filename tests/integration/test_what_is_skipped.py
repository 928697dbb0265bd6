"""No test is left out in silence: the page's need a browser, which is looked for, fetched or asked for aloud."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tools.browser import MISSING, fetch, find_chromium

SKIPPING = "import pytest\ndef test_one(): pytest.skip('no such machine')\ndef test_two(): pass\n"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a browser."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    return tmp_path


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_browser_that_is_named_comes_before_the_systems_and_that_before_playwrights(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_chromium() is None
    fetched = program(bare / "chromium_headless_shell-1/chrome-headless-shell-linux64/chrome-headless-shell")
    assert find_chromium() == fetched
    system = program(bare / "chromium")
    assert find_chromium() == system
    monkeypatch.setenv("CHROMIUM", program(bare / "mine"))
    assert find_chromium() == str(bare / "mine")


def test_a_named_browser_that_is_none_is_no_reason_to_skip(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", str(bare / "none"))
    with pytest.raises(FileNotFoundError, match="CHROMIUM="):
        find_chromium()


def test_a_download_that_fails_says_so_and_how_to_get_one(bare: Path) -> None:
    """Playwright itself, which asks a port that nobody listens on."""
    done = run("tests.tools.browser", PLAYWRIGHT_DOWNLOAD_HOST="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert f"THE WEB PAGE WILL NOT BE TESTED: {MISSING}" in done.stdout
    assert "could not be fetched: Error: " in done.stdout


def test_a_download_that_hangs_is_given_up(bare: Path) -> None:
    for_ever = (sys.executable, "-c", "import threading; threading.Event().wait()")
    assert fetch(for_ever, patience_s=0.5) == "not fetched within 0.5 s"
    assert fetch((sys.executable, "-c", "")) == "fetched, and not found"


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("1", 1)])
def test_what_was_skipped_is_said_last_and_has_failed_where_nobody_reads(tmp_path: Path, ci: str, status: int) -> None:
    (tmp_path / "test_some.py").write_text(SKIPPING)
    done = run("pytest", "-q", "-p", "tests.conftest", "--rootdir", str(tmp_path), str(tmp_path), CI=ci)
    assert done.returncode == status, done.stdout + done.stderr
    assert "NOT TESTED" in done.stdout
    assert "1 skipped: no such machine" in done.stdout
