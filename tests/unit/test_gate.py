"""Children wait for their parent, and for nobody who is gone."""

from __future__ import annotations

import subprocess
import sys

LONG_S = 60.0

FORKS = f"""
import os, sys, time
from tasks.gate import Gate

gate = Gate()

def child(longest_s):
    if pid := os.fork():
        return pid
    gate.let_go()
    os.write(1, b"child passed\\n" if gate.passed(longest_s) else b"child waited enough\\n")  # whole lines
    os._exit(0)

def ended(*pids):
    for pid in pids:
        os.waitpid(pid, 0)

LONG_S = {LONG_S}
"""


def told(code: str) -> list[str]:
    return subprocess.check_output([sys.executable, "-c", FORKS + code], text=True).splitlines()


def test_children_wait_until_their_parent_lets_go() -> None:
    code = "pids = [child(LONG_S), child(LONG_S)]; print('parent', flush=True); gate.let_go(); ended(*pids)"
    assert told(code) == ["parent", "child passed", "child passed"]


def test_a_child_that_is_forked_later_waits_for_nothing() -> None:
    assert told("gate.let_go(); gate.let_go(); ended(child(LONG_S))") == ["child passed"]


def test_a_child_waits_for_so_long_at_most() -> None:
    assert told("ended(child(0.01))") == ["child waited enough"]


def test_a_child_does_not_wait_for_a_parent_that_died() -> None:
    assert told("child(LONG_S); print('parent', flush=True); os._exit(0)") == ["parent", "child passed"]
