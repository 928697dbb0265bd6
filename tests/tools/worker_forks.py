"""The processes that share the tests are forks of one that has loaded all of them: each would load for five seconds.
`python -m tests.tools.worker_forks LISTENER ARGUMENTS` is that one.
"""

from __future__ import annotations

import atexit
import gc
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest

STUB = Path(__file__).with_name("worker_stub.py")
LOADS_ONLY = ("--collect-only", "--quiet", "--numprocesses=0", "--dist=no", "-p", "no:cacheprovider")
"""What is told to pytest after its arguments."""


@contextmanager
def forking(arguments: Sequence[str]) -> Iterator[str]:
    """Have it load what pytest needs for these arguments, and fork until the block ends.

    Returns:
        The command that is such a fork, as execnet's `python`.
    """
    with TemporaryDirectory(prefix="workers-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = str(Path(folder, "forks"))
        listener.bind(address)
        listener.listen()
        command = (sys.executable, "-m", __name__, str(listener.fileno()), *arguments)
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()]) as server:
            listener.close()  # if it ends, whoever asks it is refused
            try:
                yield shlex.join((sys.executable, "-I", "-S", str(STUB), address))
            finally:
                server.communicate()  # what it reads ends, and so does it


def main(listener: int, arguments: Sequence[str]) -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        pytest.main([*arguments, *LOADS_ONLY])  # what fails to load is told by each fork
    from hypothesis import strategies  # noqa: PLC0415 - pytest has to be the first that loads it

    strategies.text().validate()  # reads what Unicode has, for all of them
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=listener) as asked:
        while asked in select.select([asked, sys.stdin], [], [])[0]:
            stub, _ = asked.accept()
            if os.fork() == 0:
                asked.close()
                become(stub)
            stub.close()


def become(stub: socket.socket) -> None:
    """Be the process that the stub stands for, which ends when its socket does."""
    _, files, _, _ = socket.recv_fds(stub, 1, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    sys.modules["__main__"] = fresh = ModuleType("__main__")
    try:
        exec(eval(sys.stdin.readline()), vars(fresh))  # noqa: S102, S307 - what execnet tells a Python to do
    finally:
        atexit._run_exitfuncs()
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
    os._exit(0)  # all that it has loaded need not be taken apart
