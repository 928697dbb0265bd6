"""Why no copy was made, or why none was brought back."""

from rebalancer.domain.errors import RebalancerError


class BackupFailed(RebalancerError):
    """Nothing was changed: no file was left, or no row was restored; tell a person."""
