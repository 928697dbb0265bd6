"""The services of the running app, for its endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from rebalancer.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
