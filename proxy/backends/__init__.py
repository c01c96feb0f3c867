"""Connections that the store and the ledger share: Redis (one node, Sentinel, Cluster), SQLite.

Nothing here knows what an entry or a count is. Library errors are translated at this border.
"""
