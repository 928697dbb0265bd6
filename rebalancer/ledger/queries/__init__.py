"""What people and the calendar ask of the ledger; nothing here writes."""
