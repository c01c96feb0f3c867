"""Everything that knows HTTP/1.1 on the wire, and all that knows aiohttp.

targets        a request line's target and Host: path, query, authority
clients        who asks, where everybody is let in; known_clients: where the configuration says who
encodings      gzip or identity, and what changes with it
fields         what an account says: X-Cache, Cache-Status, Age, RateLimit, Retry-After
problems       an error of the proxy's own as a body that SDKs read; head_problems: of heads
heads          heads in bytes
renderings     what an answer with a whole body looks like, less what changes by the second

front          the traffic listener: bytes to requests, answers to bytes
connection     one client's connection; patience: how long it waits; senders: who is at its end;
               reception: what it needs of the front
inbound        one request between its parsed head and its written answer
bodies         a request's body; answers: an answer on its way to the client
accelerator    known heads, answered before anything is parsed; rows: what they are answered from;
               learnable: which heads may be known at all
memory_files   large answers that are given often, sent by the system without copying them
listeners      sockets

client         the upstream client: one call, one request on the wire
warm           its connections
departures     a request as it leaves; arrivals: an answer as it comes; framing: where it ends
whole_answers  answers that need no parser: most of them

private_names  every private name of aiohttp, and what happens where one is gone
"""
