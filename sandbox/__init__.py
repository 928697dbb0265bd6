"""The simulated outside world, which settings choose and the product never imports."""
