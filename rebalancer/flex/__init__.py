"""The broker's Flex web service: asks for statements, reads them, and holds them against the ledger each night."""

import rebalancer.flex.ibflex_alone  # noqa: F401  before anything imports ibflex
