"""The gateway's login as IBC tells it in its log: asked for the second factor, missed, refused, completed.

Wording and form of the lines: IBC's LoginManager and LoginFailedDialogHandler, its issues 182, 207 and 298.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum
from pathlib import Path

MISSED_S = 185
"""IBKR shows its question for three minutes (IBC issue 182)."""


class Answer(StrEnum):
    """What becomes of the question for the second factor."""

    APPROVE = "approve"
    MISS = "miss"
    REFUSE = "refuse"


class Login:
    """One gateway's login.

    Args:
        log: where IBC writes; ``None`` for nowhere.
    """

    def __init__(self, log: Path | None) -> None:
        self._log = log
        self._asking: asyncio.Future[None] | None = None

    @property
    def asking(self) -> bool:
        """Whether a question waits on the owner's phone."""
        return self._asking is not None

    async def ask(self) -> None:
        """Wait until the login was approved."""
        self._asking = asyncio.get_running_loop().create_future()
        self._write("Second Factor Authentication initiated")
        try:
            await self._asking
        finally:
            self._asking = None
        self._write("Duration since login: 14 seconds", "If login has not completed, IBC will exit in 60 seconds")

    def completed(self) -> None:
        """The gateway is logged in."""
        self._write("Login has completed")

    def answer(self, answer: Answer) -> bool:
        """Give an answer; False when nobody asks."""
        if self._asking is None:
            return False
        if answer is Answer.APPROVE:
            self._asking.set_result(None)
        elif answer is Answer.MISS:
            self._write(
                f"Duration since login: {MISSED_S} seconds",
                "Re-login after second factor authentication timeout in 5 second",
                "Second Factor Authentication initiated",
            )
        else:
            self._write("Login failed", "Cold restart in progress")
        return True

    def _write(self, *messages: str) -> None:
        if self._log is None:
            return
        now = datetime.now()  # noqa: DTZ005 - IBC writes local time
        stamp = f"{now:%Y-%m-%d %H:%M:%S}:{now.microsecond // 1000:03}"
        with self._log.open("a") as file:
            file.writelines(f"{stamp} IBC: {message}\n" for message in messages)
