"""A simulated IB Gateway: accounts, exchange and market behind the protocol of the TWS API."""
