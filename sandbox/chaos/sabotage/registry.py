"""Every variant by its name."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.chaos.sabotage import of_money, of_runs, of_signals
from sandbox.chaos.sabotage.patching import Variant

BROKEN: Mapping[str, Variant] = {**of_signals.VARIANTS, **of_runs.VARIANTS, **of_money.VARIANTS}
