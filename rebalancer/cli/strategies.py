"""Choosing strategies: from the provider's list where there is one, each checked by fetching its targets."""

from __future__ import annotations

from rebalancer.allocations import AllocationsClient
from rebalancer.domain.errors import AllocationsUnavailable, KeyRefused, Refused
from rebalancer.domain.portfolio import Targets


class Catalogue:
    """The strategies of one provider; targets are fetched once each.

    Attributes:
        names: as the provider lists them; empty where it does not.
        unlisted: why there is no list, if so.

    Raises:
        KeyRefused: from each method, and when it is made.
    """

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        self.url = url
        self.key = key
        self._client = AllocationsClient(url, key, timeout_s)
        self._fetched: dict[str, Targets] = {}
        self.names: tuple[str, ...] = ()
        self.unlisted: str | None = None
        try:
            self.names = self._client.strategies()
        except KeyRefused:
            raise
        except AllocationsUnavailable as error:
            self.unlisted = str(error)

    def read(self, text: str) -> str:
        """A strategy by its name, or by its place in the list.

        Raises:
            ValueError: there is no such place, or its targets cannot be used; says why.
        """
        name = text
        if text.isdigit() and self.names:
            if not 1 <= int(text) <= len(self.names):
                raise ValueError(f"the list goes from 1 to {len(self.names)}")
            name = self.names[int(text) - 1]
        self.targets(name)
        return name

    def targets(self, name: str) -> Targets:
        """What a strategy publishes at the moment.

        Raises:
            ValueError: nothing that could be followed.
        """
        if name not in self._fetched:
            try:
                self._fetched[name] = self._client.fetch(name)
            except KeyRefused:
                raise
            except (AllocationsUnavailable, Refused) as error:
                raise ValueError(f"{name}: {error}") from error
        return self._fetched[name]
