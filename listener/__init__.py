"""Ably subscriber: puts every message of the strategies' channels on record, once, whatever fails."""
