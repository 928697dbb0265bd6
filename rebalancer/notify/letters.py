"""Several facts in one message; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rebalancer.domain import page_addresses
from rebalancer.domain.notices import GOOD_NEWS, Notice, NoticeKind, Severity
from rebalancer.domain.periods import Period
from rebalancer.notify.digest_words import is_quiet
from rebalancer.notify.letter_pdf import pdf
from rebalancer.notify.letter_sections import section
from rebalancer.notify.style import Style
from rebalancer.notify.wording import describe

LONGEST_LINE = 450
"""Characters of a fact: together with the others of its message they stay below the 4 KB that ntfy shows."""
LATE = timedelta(minutes=5)
"""From then on a message says when it happened."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A PDF, which is made where somebody takes it."""

    name: str
    content: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as it is sent.

    Attributes:
        good: nothing in it is wrong.
    """

    title: str
    body: str
    severity: Severity
    good: bool
    attachment: Attachment | None = None


def compose(notices: Sequence[Notice], style: Style, now: datetime) -> Letter:
    """Put facts about one account (or none) into one message, in their order.

    Args:
        notices: at least one; digests are never mixed with others, nor are those for the letter of a period.
    """
    if notices[0].kind is NoticeKind.DIGEST:
        return _digest(notices, style)
    if notices[0].kind is NoticeKind.LETTER:
        return _periodic(notices, style)
    gravest = max(notices, key=lambda notice: (notice.severity.rank, notice.kind not in GOOD_NEWS, notice.id))
    more = len(notices) - 1
    title = f"{style.discretion.name(gravest.account_id)}: {describe(gravest, style).headline}"
    return Letter(
        f"{title}, and {more} more" if more else title,
        "\n".join(_line(notice, style, now, alone=not more) for notice in notices),
        gravest.severity,
        gravest.kind in GOOD_NEWS,
    )


def _line(notice: Notice, style: Style, now: datetime, *, alone: bool) -> str:
    text = describe(notice, style).text
    line = text if alone and now - notice.at < LATE else f"{style.clock(notice.at)}  {text}"
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _digest(notices: Sequence[Notice], style: Style) -> Letter:
    quiet = all(map(is_quiet, notices))
    return Letter(
        f"Daily digest: {'all quiet' if quiet else 'something waits for you'}",
        "\n".join(describe(notice, style).text for notice in notices),
        Severity.INFO if quiet else Severity.WARNING,
        quiet,
    )


def _periodic(notices: Sequence[Notice], style: Style) -> Letter:
    """The letter of a week or month, a line for each account, and all of it as PDF."""
    period = Period.named(notices[0].detail["period"])
    title = f"Letter of {period}"
    where = f"`rebalancer letter --{period.kind} {period.name} --pdf FILE`"
    if style.page is not None:
        where = page_addresses.letter(style.page, period.name)

    def content() -> bytes:
        return pdf(title, [section(one.account_id or "", one.detail, style.discretion) for one in notices])

    return Letter(
        title,
        "\n".join([*(describe(notice, style).text for notice in notices), f"All of it as PDF: {where}"]),
        Severity.INFO,
        good=True,
        attachment=Attachment(f"letter-{period.name}.pdf", content),
    )
