"""What the stand-in answers for each strategy: targets, or a raw answer that a test has put in their place."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rebalancer.domain.errors import ConfigurationError

SHIPPED = Path(__file__).with_name("strategies.json")


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Allocation(_Form):
    """One target as published; any number, so that wrong targets can be published too."""

    symbol: str
    allocation: float


class Publication(_Form):
    """New targets of a strategy; dates that are left out are today's."""

    allocations: list[Allocation]
    strategy_long_name: str | None = None
    last_rebalance_on: date | None = None
    as_of: date | None = None


class StrategyData(_Form):
    """A strategy's targets as the API publishes them; as of today unless it says otherwise."""

    allocations: list[Allocation]
    name: str
    strategy_long_name: str
    last_rebalance_on: date
    as_of: date = Field(default_factory=lambda: datetime.now(UTC).date())


class RawAnswer(_Form):
    """A literal answer, for faults: any status, any text, after any delay."""

    status: int = Field(default=200, ge=200, le=599)
    body: str = ""
    delay_s: float = Field(default=0, ge=0, le=600)


class PublishedDocument(_Form):
    """A table as somebody publishes it: any bytes that are UTF-8, and what a server may do to whoever asks for them.

    Attributes:
        tagged: there is an ETag, and whoever has this version gets 304.
        modified: the same with Last-Modified.
        cut_to: the body breaks off after so many bytes of those that were announced.
    """

    body: str = ""
    content_type: str = "text/csv"
    status: int = Field(default=200, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    tagged: bool = True
    modified: str | None = None
    delay_s: float = Field(default=0, ge=0, le=600)
    cut_to: int | None = Field(default=None, ge=0)

    @property
    def etag(self) -> str:
        """Of these bytes."""
        return f'"{sha256(self.body.encode()).hexdigest()[:16]}"'


class Answers:
    """Answers by strategy; used from one thread.

    Attributes:
        asked: how often each strategy's targets, or each document, have been asked for.
        documents: by name.
    """

    def __init__(self, strategies: dict[str, StrategyData]) -> None:
        self._strategies = strategies
        self._raw: dict[str, RawAnswer] = {}
        self.documents: dict[str, PublishedDocument] = {}
        self.asked: Counter[str] = Counter()

    def names(self) -> list[str]:
        """All strategies, in order."""
        return sorted(self._strategies)

    def targets(self, strategy: str) -> StrategyData | None:
        """What the strategy publishes, ``None`` for an unknown one."""
        return self._strategies.get(strategy)

    def raw(self, strategy: str) -> RawAnswer | None:
        """The raw answer that stands before the targets, if any."""
        return self._raw.get(strategy)

    def publish(self, strategy: str, publication: Publication) -> None:
        """Replace a strategy's targets, or begin a new strategy; ends a raw answer."""
        today = datetime.now(UTC).date()
        self._strategies[strategy] = StrategyData(
            allocations=publication.allocations,
            name=strategy,
            strategy_long_name=publication.strategy_long_name or strategy,
            last_rebalance_on=publication.last_rebalance_on or today,
            as_of=publication.as_of or today,
        )
        self.clear_raw(strategy)

    def set_raw(self, strategy: str, answer: RawAnswer) -> None:
        """Answer literally from now on."""
        self._raw[strategy] = answer

    def clear_raw(self, strategy: str) -> None:
        """Answer with the targets again."""
        self._raw.pop(strategy, None)


def load_answers(path: Path = SHIPPED) -> Answers:
    """Read a JSON file of strategies by name.

    Raises:
        ConfigurationError: it cannot be read or has another form; the message names every place.
    """
    try:
        return Answers(TypeAdapter(dict[str, StrategyData]).validate_json(path.read_bytes()))
    except OSError as unreadable:
        raise ConfigurationError([f"{path}: cannot be read: {unreadable}"]) from unreadable
    except ValidationError as refused:
        places = [(".".join(map(str, error["loc"])), error["msg"]) for error in refused.errors()]
        raise ConfigurationError([f"{path}: {place}: {message}" for place, message in places]) from None
