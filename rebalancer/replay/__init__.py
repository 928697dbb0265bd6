"""Recorded runs once more, by other rules; pure: what comes of it is for people, and nothing is traded by it."""
