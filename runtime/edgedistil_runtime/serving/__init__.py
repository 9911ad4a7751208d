"""A classifier behind a socket, for programs in other languages: HTTP and JSON, on loopback by default.

Needs the extra `serve` (Starlette, uvicorn, prometheus-client), in a checkout `pip install './runtime[serve]'`; nothing
else of the runtime imports this package. Where things are: `limits` are the bounds on what a stranger may ask for,
`hosts` which Host headers are answered, `requests` the JSON that comes in, `batching` the one thread that runs the
model, `application` the three routes, `server` the socket and the orderly end.
"""

__all__: list[str] = []
