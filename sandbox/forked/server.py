"""The process of which programs are forks: started by whoever needs it first, and asked by all who are told where."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver, resource_tracker
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["sandbox.forked.preload"])
_SERVER: Any = forkserver._forkserver


def begin() -> str:
    """Have it load, unless it runs.

    Returns:
        Where it is asked: see :func:`share`.
    """
    forkserver.ensure_running()
    return str(_SERVER._forkserver_address)


def share(address: str) -> None:
    """Use the one that another process has begun, and ends: to load takes each of them two seconds."""
    _SERVER._forkserver_address = address
    _SERVER._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)
    _SERVER.ensure_running = resource_tracker.ensure_running
