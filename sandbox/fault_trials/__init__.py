"""A trial by faults: the real processes, thousands of messages, and everything that can fail failing meanwhile."""
