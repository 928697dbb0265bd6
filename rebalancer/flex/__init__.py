"""The broker's Flex web service: asks for statements, reads them, and holds them against the ledger each night."""
