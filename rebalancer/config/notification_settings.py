"""Settings of what people are told, where and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from rebalancer.config.settings_section import Section
from rebalancer.config.types import SecretUrls, SmallLetters
from rebalancer.domain.notices import Severity
from rebalancer.notify.destinations import Target, parse_targets
from rebalancer.notify.sending import understands

OFF = "off"
PAGE = r"^(https://[^\s/?#]+|http://(localhost|127\.0\.0\.1)(:\d+)?)(/[^\s?#]*)?$"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def day_and_time(text: str) -> tuple[int, time]:
    """``sun 12:00`` as day of the week (0 is Monday) and time."""
    day, _, clock = text.partition(" ")
    return _DAYS.index(day), time.fromisoformat(clock)


class NotificationSettings(Section):
    """Targets, what they are told, and the signs of life."""

    notify_urls: SecretUrls | None = Field(
        default=None,
        json_schema_extra={"secret": True, "allowed": "Apprise URLs, each as name=URL, separated by spaces or commas"},
        description="Where messages go, for example phone=ntfys://my-topic; accounts choose by name. "
        "Without one nobody is told anything.",
    )
    notify_severity: Annotated[Severity, SmallLetters] = Field(
        default=Severity.INFO, description="Least severity that is told; an account may have its own."
    )
    notify_window_s: float = Field(
        default=60,
        ge=0,
        le=3600,
        description="How long information waits for more of the same account; warnings and errors are told at once.",
    )
    notify_amounts: bool = Field(
        default=False, description="Say USD and numbers of shares too; otherwise only percentages leave the house."
    )
    notify_approval_links: str | None = Field(
        default=None,
        pattern=PAGE,
        json_schema_extra={"allowed": "https:// URL"},
        description="Address of the web page as your phone reaches it. With it a message about a plan that waits has a "
        "link to approve or reject that plan, once and for 24 hours at most: whoever reads the message can.",
    )
    notify_digest_at: Annotated[str, SmallLetters] = Field(
        default="17:00",
        pattern=rf"^(([01]\d|2[0-3]):[0-5]\d|{OFF})$",
        json_schema_extra={"allowed": "HH:MM or off"},
        description="When the daily digest is sent, so that silence is noticed.",
    )
    notify_zone: str = Field(
        default="America/New_York", min_length=1, description="Time zone of the digest and of times in messages."
    )
    notify_trouble_after_s: float = Field(
        default=60,
        ge=0,
        le=86_400,
        description="How long nothing could be traded before that is told; 600 overlooks the gateway's restart.",
    )
    notify_login_due: Annotated[str, SmallLetters] = Field(
        default="sun 12:00",
        pattern=rf"^((mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):[0-5]\d|{OFF})$",
        json_schema_extra={"allowed": "day and HH:MM, or off"},
        description="When you are reminded each week that the gateway's next restart asks for the second factor; only "
        "with TRADING_MODE=live.",
    )
    gateway_log: Path | None = Field(
        default=None,
        json_schema_extra={"allowed": "path"},
        description="Log of IBC, which logs the gateway in, or its folder: from it people are told when the login "
        "waits for them.",
    )
    notify_keep_days: int = Field(
        default=3, ge=1, le=30, description="How long a message is tried again before it is given up."
    )
    heartbeat_url: SecretUrls | None = Field(
        default=None,
        json_schema_extra={"secret": True, "allowed": "http:// or https:// URL"},
        description="Requested regularly while all is well; a service such as healthchecks.io tells when it stops.",
    )
    heartbeat_minutes: float = Field(default=5, ge=0.01, le=1440, description="How often it is requested.")

    def contradictions(self) -> Iterator[str]:
        """Targets, zone and URL that cannot be used; see :class:`Section`."""
        try:
            self.notify_targets  # noqa: B018 - reads it
        except ValueError as error:
            yield f"NOTIFY_URLS: {error}"
        try:
            self.notify_time_zone  # noqa: B018 - reads it
        except (KeyError, ValueError, OSError):
            yield f"NOTIFY_ZONE = {self.notify_zone!r} is no time zone: use one like Europe/Paris"
        url = self.heartbeat_url
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            yield "HEARTBEAT_URL = (not shown) is refused: use an http:// or https:// URL"

    @cached_property
    def notify_targets(self) -> tuple[Target, ...]:
        """``notify_urls``, read."""
        return () if self.notify_urls is None else parse_targets(self.notify_urls.get_secret_value(), understands)

    @property
    def notify_time_zone(self) -> ZoneInfo:
        """``notify_zone`` as such."""
        return ZoneInfo(self.notify_zone)

    @property
    def notify_window(self) -> timedelta:
        """``notify_window_s`` as such."""
        return timedelta(seconds=self.notify_window_s)

    @property
    def login_due_at(self) -> tuple[int, time] | None:
        """``notify_login_due`` as day of the week (0 is Monday) and time, ``None`` for off."""
        return None if self.notify_login_due == OFF else day_and_time(self.notify_login_due)

    @property
    def digest_at(self) -> time | None:
        """``notify_digest_at`` as such, ``None`` for off."""
        return None if self.notify_digest_at == OFF else time.fromisoformat(self.notify_digest_at)
