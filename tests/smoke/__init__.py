"""Containers on a Docker engine."""

import pytest

pytest.register_assert_rewrite("tests.smoke.promises")  # what differs is shown, there too
