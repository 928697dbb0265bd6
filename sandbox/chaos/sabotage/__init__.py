"""The product, broken on purpose: what the judge of a trial has to see."""
