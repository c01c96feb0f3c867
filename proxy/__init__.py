"""quota-proxy: a caching reverse proxy for rate-limited external APIs.

The nouns
    upstream    a provider                 endpoint   a rule of an upstream
    request     what a bot asks            reply      what it is answered
    key         what makes two requests the same
    entry       a stored reply with its lifetimes
    limit       one token bucket or window
    cost        what a request spends of each limit
    ledger      where limits are counted, for all processes and instances at once
    receipt     a spend that can be settled or refunded
    hold        until when an upstream must be left alone
    flight      one fetch that many requests wait for
    fleet       the processes that share a store: one of them leads a flight, the others follow
    verdict     the one word for what happened

A request's way through the house
    1. http/front turns bytes into a Request; core.routing finds upstream and endpoint.
    2. flow asks core.keys for the key, then the first level (store/memory), then the store.
    3. core.plans.plan(...) decides: Serve, ServeThenRefresh, Fetch, Forward or Refuse.
    4. Serve answers at once; Fetch joins or begins a flight (flights), which follows another
       process's where one is under way (leads, fleet).
    5. In the flight, the ledger is asked to spend; a denial may wait in the queue (queues).
    6. http/client sends; the ledger settles with what the provider's own figures say.
    7. core.plans.settle(...) decides what is stored and answered; observed once; answered.

The rooms, from the door inwards; nothing imports upwards:
    cli -> app -> http, admin, sandbox -> flow -> flights, queues, store, ledger, fleet -> core
    config stands on core.
Beside the flow, each a room for what belongs together:
    batching    requests that share a call: gathered, sent as one, composed again
    freshening  refresh ahead and warm lists; lifetimes that follow the quota
    planning    requests recorded, and replayed for `quota-proxy plan`
"""
