"""Requests that share a call: gathered, sent as one, cut into members, and composed again."""
