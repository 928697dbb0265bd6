"""What an account earned, what its strategy did, and where the difference comes from; pure, from what is on record."""
