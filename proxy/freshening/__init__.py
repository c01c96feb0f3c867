"""Freshness that follows the quota: what is refreshed ahead, and what may live longer."""
