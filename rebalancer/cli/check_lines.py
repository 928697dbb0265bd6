"""A check of readiness or of the doctor, as a person reads it."""

from __future__ import annotations

from rich.markup import escape

from rebalancer.health.readiness import Check


def check_line(check: Check) -> str:
    """One line: ok, a warning or trouble."""
    mark = "[red]FAIL[/]" if not check.ok else "[yellow]WARN[/]" if check.warning else "[green]ok[/]  "
    return f"{mark} {check.name}: {escape(check.detail)}"
