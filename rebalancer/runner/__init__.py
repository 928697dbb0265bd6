"""The whole application on one machine, without Docker and without root: servers from wheels, one supervisor."""

from rebalancer.runner.failure import StartFailed
from rebalancer.runner.programs import Group, Program, Site
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.runner.waiting import Interrupted

__all__ = ["Group", "Interrupted", "Program", "Site", "Stack", "StackOptions", "StartFailed"]
