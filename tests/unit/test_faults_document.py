"""docs/faults.md says what the code says, and every fault of the catalogue has its test."""

from __future__ import annotations

from rebalancer.ibkr.codes import CODES
from tests.tools.faults_table import FAULTS, TARGET, document, proofs_by_fault


def test_the_committed_table_is_current() -> None:
    assert TARGET.read_text(encoding="utf-8") == document(), "run: python -m tests.tools.faults_table"


def test_every_fault_has_its_line_and_at_least_one_test_of_its_name() -> None:
    numbers = [*range(1, 26), 27, 30]
    assert [fault.number for fault in FAULTS] == numbers
    assert sorted(proofs_by_fault()) == numbers


def test_every_code_has_its_line() -> None:
    lines = document().splitlines()
    assert all(any(line.startswith(f"| {code} |") for line in lines) for code in CODES)
