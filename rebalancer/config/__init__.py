"""Settings, the accounts file and the other files that a person maintains: read, checked, explained."""
