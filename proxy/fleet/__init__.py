"""Who flies for whom, among the processes that share a store: at most one fetch for a key.

One adapter for each kind of company: none (`alone`), the workers of a machine (`machine`), all
instances on one Redis (`redis`). A fleet saves calls and guards nothing: where it cannot be asked,
everybody flies for themselves, the ledger counts, and the store keeps the newer answer.
"""
