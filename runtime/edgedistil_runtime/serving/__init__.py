"""Serve a classifier over HTTP and JSON, on loopback by default, for programs in other languages.

Needs the extra `serve` (Starlette, uvicorn, prometheus-client), in a checkout `pip install './runtime[serve]'`. Apart
from the command line, nothing else in the runtime imports this package. Modules: `limits` has the bounds of requests,
`hosts` the allowed Host headers, `requests` the JSON of requests, `batching` the thread that runs the model,
`application` the three routes, `gate` the checks of every request, `server` the socket and the orderly shutdown.
"""

__all__: list[str] = []
