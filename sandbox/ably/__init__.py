"""A local stand-in for Ably: what the Python SDK speaks of both protocols, and the ways in which they fail."""
