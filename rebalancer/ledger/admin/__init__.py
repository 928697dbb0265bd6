"""The ledger as a database: its schema, its roles, its old rows, and copies of the whole."""
