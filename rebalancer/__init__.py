"""Brings Interactive Brokers accounts to their target weights."""
