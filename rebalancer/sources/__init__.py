"""Targets from anywhere: read, looked at again and again, and turned into signals when they change."""
