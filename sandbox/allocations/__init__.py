"""A stand-in for the strategies' allocations API, whose targets and failures can be set while it runs."""
