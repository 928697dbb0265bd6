"""Refusals of the stand-in, in the service's own shape."""

from __future__ import annotations

from typing import Any


class AblyError(Exception):
    """A refusal that the client is told about.

    Attributes:
        code: the service's five-digit code; 40140 to 40149 make the SDK renew its token.
        status: HTTP status, also sent inside realtime frames, where 500 to 504 mean "try another host".
        message: one sentence for a person.
    """

    def __init__(self, code: int, status: int, message: str) -> None:
        super().__init__(f"{code} {status} {message}")
        self.code = code
        self.status = status
        self.message = message

    def as_dict(self) -> dict[str, Any]:
        """The error object of both protocols; the SDK needs all three of code, statusCode and message."""
        return {
            "code": self.code,
            "statusCode": self.status,
            "message": self.message,
            "href": f"https://help.ably.io/error/{self.code}",
        }


def continuity_lost() -> AblyError:
    """Why an attachment could not continue where the client left it."""
    return AblyError(90003, 404, "unable to recover channel: messages expired")


def token_expired() -> AblyError:
    """Makes the SDK request a new token and resume at once."""
    return AblyError(40142, 401, "token expired")
