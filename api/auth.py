"""Bearer key for everything that changes something."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.state import ServicesOf

_bearer = HTTPBearer(auto_error=False, description="MANAGEMENT_API_KEY")


def require_key(services: ServicesOf, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Refuse a request without the management key: 403 without any, 401 with a wrong one."""
    key = services.settings.management_api_key
    if key is None:
        raise HTTPException(500, "Management API key not configured")
    if given is None:
        raise HTTPException(403, "Not authenticated")
    if not hmac.compare_digest(given.credentials.encode(), key.get_secret_value().encode()):
        raise HTTPException(401, "Invalid API key", headers={"WWW-Authenticate": "Bearer"})


KeyRequired = Depends(require_key)
