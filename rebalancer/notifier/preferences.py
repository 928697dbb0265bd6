"""What settings and accounts file say of notifications, as they are now."""

from __future__ import annotations

from collections.abc import Iterable

from rebalancer.config.accounts_file import Account
from rebalancer.domain.errors import ConfigurationError
from rebalancer.logs.setup import redactor
from rebalancer.notify.privacy import Discretion, short_name
from rebalancer.notify.routing import Routes
from rebalancer.notify.wording import Style
from rebalancer.services import Services


def style(services: Services) -> Style:
    """How things are said; while the accounts file is wrong, without its names."""
    settings = services.settings
    names = {one.account_id: short_name(one.account_id, one.name) for one in _accounts(services)}
    discretion = Discretion(names, settings.notifications.notify_amounts, redactor(settings.secret_values()))
    return Style(discretion, settings.notifications.notify_time_zone)


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
