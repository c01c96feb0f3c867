"""Everything that knows HTTP/1.1 on the wire, and all that knows aiohttp.

targets     a request line's target and Host: path, query, authority
clients     who asks
encodings   gzip or identity, and what changes with it
fields      what an account says: X-Cache, Cache-Status, Age, RateLimit, Retry-After
problems    an error of the proxy's own as a body that SDKs read
heads       an answer's head, in bytes
front       the traffic listener: bytes to requests, answers to bytes
connection  one client's connection
streams     bodies of unknown size, to clients that may be slow
client      the upstream client: one call, one request on the wire
listeners   sockets
"""
