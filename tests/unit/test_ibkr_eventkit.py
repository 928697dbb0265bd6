"""ib_async comes without numpy, whether it is installed or, as in the images, is not."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT_NUMPY = "import sys; sys.modules['numpy'] = None; "
INSTALLED = "import sys; "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_ib_async_alone_would_not_load_without_numpy() -> None:
    """Else nobody has to stand in for it any more."""
    assert "numpy" in run(WITHOUT_NUMPY + "import ib_async").stderr


@pytest.mark.parametrize("numpy", [WITHOUT_NUMPY, INSTALLED])
def test_the_broker_loads_without_numpy_and_nobody_is_told_that_it_is_there(numpy: str) -> None:
    done = run(numpy + "import rebalancer.ibkr; sys.exit('numpy' in sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_would_need_numpy_fails_and_says_so() -> None:
    code = "import rebalancer.ibkr, eventkit; eventkit.Sequence([1]).array(1).mean().run()"
    done = run(WITHOUT_NUMPY + code)
    assert done.returncode != 0
    assert "module 'numpy' has no attribute 'asarray'" in done.stderr


def test_where_numpy_is_loaded_already_eventkit_has_the_real_one() -> None:
    code = "import numpy, rebalancer.ibkr, sys; from eventkit.ops import array; sys.exit(array.np is not numpy)"
    assert run(code).returncode == 0
