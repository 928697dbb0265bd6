"""Whether all is well, for people, orchestrators and dashboards."""
