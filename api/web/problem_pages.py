"""What went wrong, as a page for a browser that was sent to an address, as JSON for everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.types import Scope

TITLES = {
    400: "This request cannot be answered",
    401: "This key is wrong",
    403: "Not allowed",
    404: "There is nothing here",
    405: "This address does not take such requests",
    413: "This request is too large",
    414: "This address is too long",
    422: "This address cannot be understood",
    429: "Too many requests",
    431: "This browser sends too much",
    500: "The server failed",
    503: "The ledger cannot be reached",
}
REMEDIES = {
    400: "Correct what is named above, or begin again at the overview.",
    401: "Sign in with another key, or with the link that “rebalancer open” prints.",
    403: "Sign in with a key that may do this, or with the link that “rebalancer open” prints.",
    404: "Look for the event in the history, or for the account on the overview.",
    405: "The reference of the API says what may be asked here.",
    422: "Correct what is named above, or begin again at the overview.",
    429: "Wait a minute, then load the page again.",
    431: "Delete the cookies of this address, then sign in again.",
    500: "Load the page again. If it stays, “rebalancer doctor” tries each part, and the API's log has the error.",
    503: "Nothing was changed. Load the page again when PostgreSQL runs; “rebalancer doctor” says what it lacks.",
}
BUSY = "Wait a moment, then load the page again."
LONGEST_ADDRESS = 200


def answer(
    request: Request,
    status: int,
    detail: Any,
    headers: Mapping[str, str] | None = None,
    *,
    title: str | None = None,
    remedy: str | None = None,
) -> Response:
    """An answer that is no success.

    Args:
        detail: a sentence, or a list of the fields that were wrong (``loc`` and ``msg``).
        title: where the status has another one.
        remedy: as ``title``.
    """
    if not of_browser(request):
        return JSONResponse({"detail": detail}, status, headers)
    shown = _template().render(
        status=status,
        title=title or TITLES.get(status, "This cannot be done"),
        reasons=[detail] if isinstance(detail, str) else [_field(one) for one in detail],
        remedy=remedy or REMEDIES.get(status, "Begin again at the overview."),
        address=f"{request.method} {request.scope['path']}"[:LONGEST_ADDRESS],
    )
    return HTMLResponse(shown, status, {**(headers or {}), "Vary": "Accept"})


def failed(scope: Scope) -> Response:
    """The answer to a request that broke something nobody expected; the log has what."""
    return answer(Request(scope), 500, "The server failed; its log says why", {"Connection": "close"})


def refused(scope: Scope, status: int, detail: str) -> Response:
    """The answer to a request that goes no further than to what stands before every endpoint."""
    headers = {"Connection": "close"} if status != 422 else None
    if status == 503:
        return answer(Request(scope), status, detail, headers, title=detail, remedy=BUSY)
    return answer(Request(scope), status, detail, headers)


def of_browser(request: Request) -> bool:
    """Whether a person was sent to an address, and will look at what comes back."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")


def _field(one: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in one['loc'][1:]) or 'request'}: {one['msg']}"


@lru_cache(maxsize=1)
def _template() -> Any:
    """Of itself, since neither ledger nor settings may be there."""
    environment = Environment(loader=PackageLoader("api.web"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("problem.html")
