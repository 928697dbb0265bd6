"""A stand-in for IBKR's Flex web service over the simulated gateway's books."""
