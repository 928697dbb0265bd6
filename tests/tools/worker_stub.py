"""Stands for a Python that xdist has started: has one forked in its place (:mod:`tests.tools.worker_forks`), which gets
its standard files, and ends when that has ended.
"""

import socket
import sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.recv(1)
