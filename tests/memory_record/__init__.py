"""The record of runs in memory: what tests of use cases have instead of PostgreSQL, held to the same contract by
``tests/integration/ledger/test_run_record.py``.
"""

from tests.memory_record.ledger import MemoryLedger
from tests.memory_record.run import MemoryRun, claim, take_over

__all__ = ["MemoryLedger", "MemoryRun", "claim", "take_over"]
