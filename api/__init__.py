"""Management API: `uvicorn api.app:create_app --factory`."""
