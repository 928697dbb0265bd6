"""The only module that speaks Apprise. What it logs may hold URLs, so none of it gets out: only what we make of it."""

from __future__ import annotations

import logging
import re
import warnings
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rebalancer.domain.notices import Severity
from rebalancer.notify.destinations import Target

if TYPE_CHECKING:
    from apprise import Apprise

    from rebalancer.notify.letters import Letter

TIMEOUT_S = 20.0
BY_MAIL = frozenset(
    {
        *("mailto", "mailtos", "azure", "brevo", "mailersend", "mailgun", "postmark"),
        *("resend", "sendgrid", "sendpulse", "ses", "smtp2go", "sparkpost"),
    }
)
"""Services that write e-mails."""
_STATUS = re.compile(r"\berror=(\d{3})(?:\d\d)?\b")
"""HTTP status; ntfy appends two digits of its own."""


def understands(url: str) -> bool:
    """Whether Apprise knows the service and finds the URL complete."""
    try:
        return bool(_sender(url))
    except Exception:  # noqa: BLE001 - its hundred plugins raise whatever they stumble over, and that may hold the URL
        return False


def clear_text_host(url: str) -> str | None:
    """Where messages would go unencrypted; ``None`` where they are encrypted."""
    plugin: Any = next(iter(_sender(url)))
    if not plugin.protocol or getattr(plugin, "mode", None) == "cloud":  # https:// only; ntfy's own server likewise
        return None
    by_mail = getattr(plugin, "secure_mode", None)
    if by_mail == "insecure" if by_mail is not None else not plugin.secure:
        host = getattr(plugin, "smtp_host", None) or plugin.host
        return str(host or ("its service" if plugin.secure_protocol else ""))
    return None


def send(target: Target, letter: Letter, timeout_s: float = TIMEOUT_S) -> str | None:
    """Send one message; takes at most ``timeout_s``.

    Returns:
        ``None`` when the service took it, otherwise why not: never with any part of the URL.
    """
    apprise = _library()
    sender = _sender(target.url)
    outcome = sender.notify(
        body=letter.body,
        attach=_attachment(sender, letter),
        title=letter.title,
        notify_type=_type(letter),
        body_format=apprise.NotifyFormat.TEXT,
        timeout=timeout_s,
    )
    if outcome:
        return None
    if outcome.status is apprise.AppriseResultStatus.TIMEOUT:
        return f"no answer within {timeout_s:g} s"
    return _reason(" ".join(entry.message for entry in outcome.logs()))


def _attachment(sender: Apprise, letter: Letter) -> Any:
    """What goes along where it can: of the others some refuse a message for it."""
    plugin: Any = next(iter(sender))
    if letter.attachment is None or not (plugin.attachment_support and _schemas(plugin) & BY_MAIL):
        return None
    memory: Any = import_module("apprise.attachment.memory")
    return memory.AttachMemory(
        content=letter.attachment.content(), name=letter.attachment.name, mimetype="application/pdf"
    )


def _schemas(plugin: Any) -> set[str]:
    """Beginnings of URLs that a plugin is for."""
    listed = (one for one in (plugin.protocol, plugin.secure_protocol) if one)
    return {name for one in listed for name in ([one] if isinstance(one, str) else one)}


def _sender(url: str) -> Apprise:
    """A fresh one each time: Apprise would make a second message of the same one wait for seconds."""
    apprise = _library()
    asset = apprise.AppriseAsset(
        app_id="Rebalancer", app_desc="IBKR rebalancer", storage_mode=apprise.PersistentStoreMode.MEMORY
    )
    sender: Apprise = apprise.Apprise(asset=asset)
    sender.add(url)
    return sender


def _type(letter: Letter) -> str:
    if letter.good:
        return "success"
    return {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "failure"}[letter.severity]


def _reason(said: str) -> str:
    status = _STATUS.search(said)
    if status:
        return f"the service answered {status[1]}{_REMEDIES.get(status[1], '')}"
    if "onnection" in said:
        return "no connection to the service, or no answer in time"
    return "the service did not take it; check its URL in NOTIFY_URLS"


_REMEDIES = {
    "401": ": the token or password in NOTIFY_URLS is wrong",
    "403": ": the token or password in NOTIFY_URLS is wrong, or has no right to this topic or channel",
    "404": ": the topic, channel or webhook in NOTIFY_URLS does not exist",
    "413": ": the message is too long for it",
    "429": ": too many messages",
}


@cache
def _library() -> Any:
    """Apprise's module, with its plugins; loading them takes half a second, which only those who notify pay."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its import of imghdr, on Python below 3.13
        apprise = import_module("apprise")
        import_module("apprise.plugins").N_MGR.load_modules()
    return apprise
