"""ibflex comes without its own client."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "; import sys; sys.exit('requests' in sys.modules)"


@pytest.mark.parametrize(
    ("imported", "loads"),
    [
        pytest.param("ibflex.parser", 1, id="else nobody has to stand in for it any more"),
        pytest.param("rebalancer.flex.decoding", 0, id="who reads a statement does without"),
    ],
)
def test_a_statement_is_read_without_the_client_that_nobody_uses(imported: str, loads: int) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {imported}{LOADED}"], check=False)
    assert done.returncode == loads
