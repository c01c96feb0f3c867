"""`quota-proxy plan`: requests are recorded, and replayed against a configuration."""
