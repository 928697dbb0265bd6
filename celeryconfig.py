"""Celery's settings; every value's reason is in docs/decisions and docs/architecture.md."""
