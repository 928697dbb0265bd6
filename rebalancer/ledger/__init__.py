"""The ledger: PostgreSQL tables, their states, and every question that is asked of them."""
