"""Everything fails at once, by a seed; what became of the money is judged from outside."""
