"""What is said of a gateway and its login; pure."""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.notify.style import Style, Teller, Wording


def _gateway(notice: Notice) -> str:
    """The one that the fact is of: of several, the main one is not named."""
    return " ".join(("the gateway", *filter(None, (notice.detail.get("gateway"),))))


def _asked(notice: Notice, style: Style) -> Wording:
    return Wording(
        "APPROVE THE LOGIN NOW",
        f"Since {style.moment(notice.detail['at'])} {_gateway(notice)} waits for the second factor: approve it in IBKR "
        "Mobile. Nothing can be traded until then.",
    )


def _missed(notice: Notice, style: Style) -> Wording:
    return Wording(
        "LOGIN NOT APPROVED",
        f"Until {style.moment(notice.detail['at'])} nobody gave the second factor: nothing is traded. Approve it in "
        f"IBKR Mobile when {_gateway(notice)} asks again; if it does not, start it anew.",
    )


def _refused(notice: Notice, style: Style) -> Wording:
    line = style.discretion.safe(notice.detail["line"])
    return Wording(
        "LOGIN REFUSED",
        f"IBKR does not take {_gateway(notice)}'s login, nothing is traded: {line}. Look at its screen.",
    )


def _logged_in(notice: Notice, style: Style) -> Wording:
    done = f"'s login is done since {style.moment(notice.detail['at'])}."
    return Wording("logged in", _gateway(notice).capitalize() + done)


def _due(notice: Notice, _style: Style) -> Wording:
    restart = notice.detail["restart"]
    when = f"restarts next ({restart})" if restart else "restarts next"
    return Wording(
        "weekly login due",
        f"IBKR ends every login on Sunday at 01:00 New York time: when {_gateway(notice)} {when} it asks for the "
        "second factor. Keep your phone at hand; without your approval trading stops then.",
    )


def _desupported(notice: Notice, _style: Style) -> Wording:
    day = notice.detail["on"]
    return Wording(
        f"gateway ends on {day}",
        f"IBKR takes no login of this build of {_gateway(notice)} any more from {day} on: raise it before, see "
        "docs/deployment.md.",
    )


OF_LOGINS: Mapping[NoticeKind, Teller] = {
    NoticeKind.LOGIN_ASKED: _asked,
    NoticeKind.LOGIN_MISSED: _missed,
    NoticeKind.LOGIN_REFUSED: _refused,
    NoticeKind.LOGGED_IN: _logged_in,
    NoticeKind.LOGIN_DUE: _due,
    NoticeKind.DESUPPORTED: _desupported,
}
