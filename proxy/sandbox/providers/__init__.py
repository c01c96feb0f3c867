"""The simulated providers, one a file; `catalogue` lists them."""
