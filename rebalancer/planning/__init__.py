"""From weights to whole-share orders; pure, the same for preview and live.

Live: :func:`plan`, execute its sells, :func:`size_buys` from what they really brought, execute those; then nothing may be
:func:`missing`.
"""

from rebalancer.planning.checks import check_weights
from rebalancer.planning.planner import plan
from rebalancer.planning.purchases import missing, size_buys
from rebalancer.planning.rules import Kind, PlanningRules

__all__ = ["Kind", "PlanningRules", "check_weights", "missing", "plan", "size_buys"]
