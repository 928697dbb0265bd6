"""From weights to whole-share orders; pure, the same for preview and live.

Live: :func:`plan`, execute its sells, :func:`size_buys` from what they really brought, execute those; :func:`off_plan`
says what the account lacks then.
"""

from rebalancer.planning.checks import check_weights
from rebalancer.planning.planner import plan
from rebalancer.planning.purchases import off_plan, size_buys
from rebalancer.planning.rules import PlanningRules

__all__ = ["PlanningRules", "check_weights", "off_plan", "plan", "size_buys"]
