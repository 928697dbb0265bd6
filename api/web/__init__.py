"""The web page: rendered here, made live by one small script, steered through the same API as everything else."""

from api.web.routes import router, static_files

__all__ = ["router", "static_files"]
