"""Measurements and comparisons, run by hand: none is part of what is shipped or tested."""
