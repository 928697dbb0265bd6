"""A Compose project of its own, and its ledger, both looked at from outside."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.smoke.engine import compose_command, run
from tests.smoke.promises import Books

STRATEGY = "etf-blend-301-20"
LIVE, DRY = '{"exec": "rebalance"}', "{}"
LOOK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4005/state').read().decode())"
STEER = """
import sys, urllib.request as u
u.urlopen(u.Request("http://127.0.0.1:4005/" + sys.argv[1], data=sys.argv[2].encode(), method="POST"))
"""
GATEWAY_PORT = "4004"
PORTS = ("API_PORT", "FLOWER_PORT", "VNC_PORT", "SECOND_VNC_PORT")


class Stack:
    """One project.

    Args:
        project: its name; two with the same name are one.
        folder: with the Compose file.
        profile: what is started; ``None`` leaves it to the folder's ``.env``.
        environment: beside free ports.
    """

    prefix = ""
    gateway_service = "gateway"

    def __init__(
        self, project: str, folder: Path, profile: str | None, environment: Mapping[str, str] | None = None
    ) -> None:
        ports = {name: str(_free_port()) for name in PORTS}
        self.project, self.folder, self.profile = project, folder, profile
        self.environment = {"COMPOSE_PROJECT_NAME": project, **ports, **(environment or {})}
        self.published: set[str] = set()

    def compose(self, *arguments: str) -> str:
        """Output of one compose command."""
        profile = () if self.profile is None else ("--profile", self.profile)
        return run(*compose_command(), *profile, *arguments, folder=self.folder, environment=self.environment)

    def inside(self, service: str, *command: str) -> str:
        """Output of a command in a service's container."""
        return self.compose("exec", "-T", f"{self.prefix}{service}", *command)

    def containers(self, *options: str) -> list[dict[str, Any]]:
        """What the engine knows of each container that runs; with "--all" of the others too."""
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *self.compose("ps", "-q", *options).split()))
        return [one for one in found if options or one["State"]["Running"]]

    def unhealthy(self) -> dict[str, str]:
        """Health of those that are not healthy."""
        seen = {one["Name"]: one["State"].get("Health", {}).get("Status", "none") for one in self.containers()}
        return {name: health for name, health in seen.items() if health != "healthy"}

    def gateway(self, service: str | None = None) -> dict[str, Any]:
        """A gateway's own books; the only one's."""
        found: dict[str, Any] = json.loads(self.inside(service or self.gateway_service, "python", "-c", LOOK))
        return found

    def steer(self, what: str, body: dict[str, Any], service: str | None = None) -> None:
        """Ask something of a gateway's control port."""
        self.inside(service or self.gateway_service, "python", "-c", STEER, what, json.dumps(body))

    def answer_login(self, answer: str) -> None:
        """What becomes of the question for the second factor."""
        self.steer("login", {"answer": answer})

    def gateway_speaks(self) -> bool:
        """What its health check finds now."""
        check = f"bash /opt/gateway/healthy.sh {GATEWAY_PORT} && echo yes || echo no"
        return self.inside(self.gateway_service, "bash", "-c", check).endswith("yes\n")

    def readiness(self) -> str:
        """What a person is told of whether a signal could be traded."""
        return self.inside("api", "sh", "-c", "rebalancer health || true")

    def set_price(self, symbol: str, price: str) -> None:
        """Let the market move."""
        self.steer("prices", {symbol: price})

    def ledger_answers(self) -> bool:
        """PostgreSQL takes connections, as its own tool sees it."""
        told = self.inside("postgres", "sh", "-c", "pg_isready -U owner -d rebalancer || true")
        return "accepting" in told

    def publish(self, payload: str) -> None:
        """A signal on the strategy's channel."""
        self.published.add(self.inside("api", "rebalancer", "sandbox", "publish", STRATEGY, payload).strip())


def service_of(container: Mapping[str, Any]) -> str:
    """Which service a container is of."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


class LedgerInside(Books):
    """The ledger of a stack that publishes no port of it."""

    def __init__(self, stack: Stack) -> None:
        super().__init__("")
        self._stack = stack

    def rows(self, query: str, *_arguments: object) -> list[tuple[Any, ...]]:
        wanted = f"SELECT coalesce(json_agg(row), '[]') FROM ({query}) AS row"
        told = self._stack.inside("postgres", "psql", "-U", "owner", "-d", "rebalancer", "-At", "-c", wanted)
        return [tuple(row.values()) for row in json.loads(told, parse_float=Decimal)]

    def heard(self) -> set[str]:
        """Ids of the messages on record."""
        return {one for (one,) in self.rows(f"SELECT message_id FROM signals WHERE channel = '{STRATEGY}'")}

    def login_notices(self) -> list[str]:
        """What people were told of the gateway's login, in order."""
        told = self.rows("SELECT kind FROM notices WHERE kind LIKE '%log%in%' ORDER BY id")
        return [kind for (kind,) in told]

    def settled(self) -> bool:
        """Every signal that was published is on record and served."""
        heard = self.heard() == self._stack.published
        return heard and set(self.states()) == {"succeeded"} and not self.unserved()

    def described(self) -> object:
        """What is not settled, for a person."""
        return self._stack.published - self.heard(), self.states(), self._stack.unhealthy()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
