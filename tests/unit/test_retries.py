"""Never given up, never in a hurry."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rebalancer.domain.errors import AllocationsUnavailable, GatewayUnavailable, OrderRejected, Refused
from rebalancer.queueing.retry_policy import RetryPolicy, next_try

POLICY = RetryPolicy(delay=timedelta(seconds=60), slow_delay=timedelta(hours=1), patience=3)
MINUTE, FIVE_MINUTES, HOUR = timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)


@pytest.mark.parametrize("error", [Refused("allocations_sum", "0.7"), OrderRejected("ref", 201, "no permission")])
@pytest.mark.parametrize(("refusals", "delay", "attention"), [(0, MINUTE, False), (1, MINUTE, False), (2, HOUR, True)])
def test_what_a_person_must_fix_slows_down_and_is_raised(
    error: Exception, refusals: int, delay: timedelta, attention: bool
) -> None:
    tried = next_try(error, refusals, refusals, POLICY)
    assert (tried.delay, tried.refused, tried.needs_attention) == (delay, True, attention)


def test_a_refusal_after_an_outage_is_the_first_of_its_kind() -> None:
    tried = next_try(Refused("equity_missing", "not sent yet"), 9, 0, POLICY)
    assert (tried.delay, tried.needs_attention) == (MINUTE, False)


@pytest.mark.parametrize("error", [GatewayUnavailable("away"), AllocationsUnavailable("503"), RuntimeError("bug")])
@pytest.mark.parametrize(("failures", "delay", "attention"), [(0, MINUTE, False), (9, FIVE_MINUTES, True)])
def test_what_may_pass_by_itself_is_tried_again_for_ever(
    error: Exception, failures: int, delay: timedelta, attention: bool
) -> None:
    tried = next_try(error, failures, 2, POLICY)
    assert (tried.delay, tried.refused, tried.needs_attention) == (delay, False, attention)
