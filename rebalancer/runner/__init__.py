"""The whole application on one machine, without Docker and without root: servers from wheels, one supervisor."""
