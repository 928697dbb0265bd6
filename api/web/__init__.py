"""The web page: rendered here, made live by one small script, steered through the same API as everything else."""

from api.web import pages
from api.web.routes import router, static_files

router.include_router(pages.router)

__all__ = ["router", "static_files"]
