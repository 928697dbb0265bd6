"""What becomes of the whole under much at once, and under the same for an hour."""
