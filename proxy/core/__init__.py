"""The pure core: decisions that take state and time and return values.

No await, clock, randomness, logging or I/O in here. Time is an argument, `now: float`, in
seconds; everything that can be decided is decided here, and tested here with tables.
"""
