"""Programs forked from a process that has loaded what they have in common: trials and tests start some thousands."""
