"""`python -m tests.tools.browser`: find a Chromium for the tests of the page, or try to fetch Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 120
FETCH = (sys.executable, "-m", "playwright", "install", "--only-shell", "chromium")
MISSING = "no Chromium: install Debian's `chromium-headless-shell`, or say CHROMIUM=/path/to/one"
SYSTEMS = ("chromium-headless-shell", "chromium", "google-chrome")
"""The first needs half of the second's processor time: it brings no windows along."""


def find_chromium() -> str | None:
    """Path of the one that ``CHROMIUM`` names, else of the system's, else of the one that Playwright has fetched.

    Raises:
        FileNotFoundError: ``CHROMIUM`` names none.
    """
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise FileNotFoundError(f"CHROMIUM={named} is no program")
    return next(filter(None, map(shutil.which, SYSTEMS)), None) or _fetched()


def _fetched() -> str | None:
    """The newest headless shell in Playwright's own folder."""
    default = "Library/Caches/ms-playwright" if sys.platform == "darwin" else ".cache/ms-playwright"
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / default)
    shells = [path for path in folder.glob("chromium_headless_shell-*/*/*headless*shell") if os.access(path, os.X_OK)]
    return str(max(shells, key=lambda path: path.stat().st_mtime)) if shells else None


def fetch(command: tuple[str, ...] = FETCH, patience_s: float = PATIENCE_S) -> str:
    """Let Playwright fetch one; returns why there is none afterwards, "" if there is one."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired:
        return f"not fetched within {patience_s:g} s"
    if done.returncode:
        return next((line for line in done.stderr.splitlines() if line.strip()), f"exit status {done.returncode}")
    return "" if find_chromium() else "fetched, and not found"


def main() -> None:
    """Ends well in any case: what needs a browser is skipped without one, and the end of the tests says so again."""
    if find_chromium() is not None:
        return
    print(f"No Chromium on this machine; fetching Playwright's own, {PATIENCE_S} s at most ...", flush=True)
    if reason := fetch():
        print(f"*** THE WEB PAGE WILL NOT BE TESTED: {MISSING}.\n*** It could not be fetched: {reason}", flush=True)


if __name__ == "__main__":
    main()
