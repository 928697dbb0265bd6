"""What stands between a plan and its first order; pure: clock, ledger's facts and settings are arguments.

A rule answers with :class:`~rebalancer.domain.errors.Refused` where the input justifies no order, :class:`Blocked`
where now is not the time, :class:`NeedsApproval` where a person has to look, and otherwise not at all.
"""

from rebalancer.domain.outcomes import Blocked, NeedsApproval

__all__ = ["Blocked", "NeedsApproval"]
