"""Management API: `uvicorn api.app:create_app --factory`."""

import rebalancer.config.lean  # noqa: F401 - before anything else is loaded
