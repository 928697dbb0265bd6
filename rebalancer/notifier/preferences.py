"""What settings and accounts file say of notifications, as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from rebalancer.config.accounts_file import Account
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.notices import Notice
from rebalancer.logs.setup import redactor
from rebalancer.notify.privacy import Discretion, short_name
from rebalancer.notify.routing import Routes
from rebalancer.notify.style import Style, without_links
from rebalancer.operations import decision_links
from rebalancer.services import Services


def style(services: Services, target: str | None = None) -> Style:
    """How things are said; while the accounts file is wrong, without its names.

    Args:
        target: that it is said to, and that may get links to decide by; nobody gets any by default.
    """
    settings = services.settings
    names = {one.account_id: short_name(one.account_id, one.name) for one in _accounts(services)}
    discretion = Discretion(names, settings.notifications.notify_amounts, redactor(settings.secret_values()))
    zone = settings.notifications.notify_time_zone
    page = settings.notifications.notify_approval_links
    link = without_links if target is None else _links(services, target)
    return Style(discretion, zone, link, page)


def _links(services: Services, target: str) -> Callable[[Notice], str | None]:
    """For one message: to decide on the plan that a notice tells of, always the same for the same notice."""
    made: dict[int, str | None] = {}

    def link(notice: Notice) -> str | None:
        approval_id = notice.detail.get("approval")  # none in notices of an earlier version
        if notice.id not in made and approval_id is not None:
            until = datetime.fromisoformat(notice.detail["silent_at"] or notice.detail["expires_at"])
            made[notice.id] = decision_links.make(services, approval_id, target, until)
        return made.get(notice.id)

    return link


def routes(services: Services) -> Routes:
    """Who is told; while the accounts file is wrong, everybody."""
    settings = services.settings
    return Routes(
        tuple(target.name for target in settings.notifications.notify_targets),
        settings.notifications.notify_severity,
        settings.notifications.notify_window,
        {one.account_id: one.notify for one in _accounts(services)},
    )


def _accounts(services: Services) -> Iterable[Account]:
    try:
        return services.accounts()
    except ConfigurationError:  # the watch tells of it
        return ()
