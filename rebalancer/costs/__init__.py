"""What trading cost against the prices at which it was decided; pure. See docs/execution-quality.md."""
