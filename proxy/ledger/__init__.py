"""Where limits are counted, for all processes and instances at once.

`book` is what every ledger has in common: bills become orders, decisions become grants and denials,
and what was last seen is remembered. `memory`, `sqlite` and `redis` differ only in where the state
lies and who runs the arithmetic of `proxy.core.limits` on it.
"""
