"""Other people's packages without what they bring along for terminals; import this before anything else.

structlog and httpx load rich and pygments where these are installed, for coloured tracebacks and for a command line of
their own. A process that serves has neither: it would only be larger, by 4 MB, and slower to start, by a tenth of a
second. What is loaded after this may still use rich.
"""

from __future__ import annotations

import sys

if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's own sign for: cannot be imported
    try:
        import httpx  # noqa: F401
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
