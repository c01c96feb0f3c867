"""Simulated providers on loopback, with the real limits: for demo, tests and benchmarks.

    market      prices that move by themselves, the same for everybody at the same moment
    limits      how providers count (pure)         provider    what a provider is: a table of routes
    providers/  one a file                         counts      what a provider saw
    faults      what can be made to go wrong       service     HTTP around all of it
    control     /_sandbox/, the same from outside  sandbox     the whole as one object
    swarm       bots that ask                      demo        swarm, proxy and a running table

A provider's function takes a call and the market and returns a reply; nothing but `service`,
`swarm` and `demo` waits.
"""

from proxy.sandbox.faults import Fault, Faults, Latency
from proxy.sandbox.limits import Algorithm, Ban, Limit
from proxy.sandbox.sandbox import Sandbox, run_sandbox

__all__ = ["Algorithm", "Ban", "Fault", "Faults", "Latency", "Limit", "Sandbox", "run_sandbox"]
