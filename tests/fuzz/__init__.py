"""Every decoder against bytes of chance: `make fuzz SECONDS=60`; what was found once lies in ``corpus``."""
