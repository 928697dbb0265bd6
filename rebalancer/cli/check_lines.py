"""Whether all is well, and a check of readiness or of the doctor, as a person reads them."""

from __future__ import annotations

from rich.markup import escape
from rich.text import Text

from rebalancer.health.headline import Headline
from rebalancer.health.readiness import Check

STYLES = {"good": "green", "warn": "yellow", "bad": "red"}


def headline_line(headline: Headline) -> Text:
    """As the page's first line."""
    return Text(headline.text, style=f"bold {STYLES[headline.kind]}")


def check_line(check: Check) -> str:
    """One line: ok, a warning or trouble."""
    mark = "[red]FAIL[/]" if not check.ok else "[yellow]WARN[/]" if check.warning else "[green]ok[/]  "
    return f"{mark} {check.name}: {escape(check.detail)}"
