"""Serves the built page.

    python serve.py FOLDER [--port 8000] [--host 127.0.0.1]

A static server like any other, with what `http.server` lacks: files packed by gzip, the types of WebAssembly and
manifests, and the two headers that isolate the page from other origins, without which browsers offer no threads and
only coarse clocks.
"""

import argparse
import contextlib
import functools
import http.server
import os
import sys
from pathlib import Path
from typing import ClassVar

ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HARDENING = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the rest is in the page; this part only a header can say
}
FRESHNESS = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}  # kept, and asked for again: 304 if unchanged
PACKED = ".gz"


class PageHandler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder, packed where there is a packed one and the browser takes it."""

    protocol_version = "HTTP/1.1"
    extensions_map: ClassVar[dict[str, str]] = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".svg": "image/svg+xml",
        ".tflite": "application/octet-stream",
    }

    def translate_path(self, path: str) -> str:
        """The file for a URL, or the packed one beside it."""
        found = Path(super().translate_path(path))
        if found.is_dir():
            found /= "index.html"
        packed = found.with_name(found.name + PACKED)
        self._is_packed = "gzip" in self.headers.get("Accept-Encoding", "") and packed.is_file()
        return str(packed if self._is_packed else found)

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """The type of the file as it is before packing."""
        return super().guess_type(os.fspath(path).removesuffix(PACKED))

    def end_headers(self) -> None:
        """Adds the headers that every answer has."""
        for name, value in {**ISOLATION, **HARDENING, **FRESHNESS}.items():
            self.send_header(name, value)
        if getattr(self, "_is_packed", False):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing of what went well."""


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="what build.mjs wrote")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="browsers offer all it needs on localhost and https alone")
    arguments = parser.parse_args()
    handler = functools.partial(PageHandler, directory=arguments.folder)
    with http.server.ThreadingHTTPServer((arguments.host, arguments.port), handler) as server:
        sys.stdout.write(f"http://localhost:{server.server_address[1]}/ (Ctrl-C ends it)\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
