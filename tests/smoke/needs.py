"""Keys and networks of each service: the listener has none that trades, the page none that reaches the gateway."""

_STORES = {"database-password", "redis-password"}

NEEDS: dict[str, tuple[set[str], set[str]]] = {
    "listener": ({*_STORES, "realtime-api-key", "allocations-api-key"}, {"ledger", "queue", "outside"}),
    "worker": ({*_STORES, "allocations-api-key"}, {"ledger", "queue", "broker", "outside"}),
    "worker-second": ({*_STORES, "allocations-api-key"}, {"ledger", "queue", "broker", "outside"}),
    "beat": (_STORES, {"ledger", "queue", "outside"}),
    "api": ({*_STORES, "management-api-key"}, {"ledger", "queue", "published"}),
    "flower": ({"redis-password", "flower-login"}, {"queue", "published"}),
    "migrate": ({"database-owner-password", "database-password"}, {"ledger"}),
    "postgres": ({"database-owner-password"}, {"ledger"}),
    "redis": ({"redis-password"}, {"queue"}),
    "ib-gateway-paper": ({"ib-password", "vnc-password"}, {"broker", "outside"}),
    "ib-gateway-live": ({"ib-password-live", "vnc-password"}, {"broker", "outside"}),
    "ib-gateway-second": ({"ib-password-second", "vnc-password"}, {"broker", "outside"}),
    "backup": ({"database-password", "backup-key"}, {"ledger"}),
    "restore": ({"database-owner-password", "backup-key"}, {"ledger"}),
    "setup": (set(), {"broker", "outside"}),
    "console": (
        {*_STORES, "realtime-api-key", "allocations-api-key", "management-api-key"},
        {"ledger", "queue", "broker", "outside"},
    ),
}
READ_SETTINGS = {"listener", "worker", "worker-second", "beat", "api", "console", "setup"}
"""Those to whom the settings file and the accounts go."""
