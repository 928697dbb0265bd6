"""How the processes log, and what each line says of the run that it belongs to."""
