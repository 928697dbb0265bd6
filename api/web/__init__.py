"""The web page: rendered here, made live by one small script, steered through the same API as everything else."""

from api.web import cost_pages, hindsight_pages, household_pages, letter_pages, money_pages, pages, tables
from api.web.routes import router, static_files

for part in (pages, money_pages, cost_pages, letter_pages, hindsight_pages, household_pages, tables):
    router.routes += part.router.routes

__all__ = ["router", "static_files"]
