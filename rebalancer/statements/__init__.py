"""The broker's statements held against the ledger, to the share and the cent; pure."""
