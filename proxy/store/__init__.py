"""Where entries are kept: `memory`, the first level of each process, and the store beneath it.

`sqlite` (all workers of a machine) and `redis` (all instances) have one shape, and `nowhere` has it
too. A lost store never raises into the flow: it misses, counts the error, and says so once.
"""
