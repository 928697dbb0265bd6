"""Order refs are read as they are written, and nothing else is taken for one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.order_refs import LONGEST, OrderRef

HEX = st.text("0123456789abcdef", min_size=8, max_size=8)


@given(event_id=st.uuids(), attempt=st.integers(0, 999_999_999), number=st.integers(1, 9999), installation=HEX)
def test_a_ref_leads_back_to_its_parts(event_id: UUID, attempt: int, number: int, installation: str) -> None:
    ref = OrderRef.of(event_id, attempt, number, installation)
    assert OrderRef.read(str(ref)) == ref
    assert len(str(ref)) <= LONGEST
    assert str(ref).startswith(event_id.hex[:12])


def test_refs_of_before_installations_are_read() -> None:
    assert OrderRef.read("0123456789ab-1-01") == OrderRef("0123456789ab", 1, 1, None)
    assert str(OrderRef("0123456789ab", 1, 1, None)) == "0123456789ab-1-01"


def test_a_ref_is_written_with_its_installation() -> None:
    ref = OrderRef.of(UUID("12345678-9abc-4def-8000-000000000001"), 2, 3, "0123abcd")
    assert str(ref) == "123456789abc-2-03-0123abcd"


@pytest.mark.parametrize(
    "text", ["", "doctor-0123456789ab", "0123456789ab-what-if-1", "0123456789AB-1-01", "mine", "x" * 99]
)
def test_refs_of_others_are_left_alone(text: str) -> None:
    assert OrderRef.read(text) is None
