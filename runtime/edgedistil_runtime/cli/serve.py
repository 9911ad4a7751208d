"""`edgedistil-runtime serve MODEL`: serve other programs over HTTP; see `edgedistil_runtime.serving`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import Any, NoReturn

from edgedistil_runtime.cli.options import add_model, open_classifier, positive_integer, positive_seconds
from edgedistil_runtime.errors import EdgeDistilError
from edgedistil_runtime.serving.hosts import HostRule, is_loopback
from edgedistil_runtime.serving.limits import ServingLimits

__all__: list[str] = []  # `cli.main` calls `add_parser` and `run`

_NEEDED = ("starlette", "uvicorn", "prometheus_client")
_DEFAULTS = ServingLimits()


def add_parser(commands: Any) -> None:
    """Declare the command."""
    summary = "Serve other programs over HTTP: POST /classify, GET /health, GET /metrics."
    parser = commands.add_parser("serve", help=summary, description=summary)
    add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, default=8317, metavar="N", help="port to listen on (default: 8317); 0 takes a free one"
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name that is allowed in the Host header; may be repeated (default: loopback names)",
    )
    limits = parser.add_argument_group("limits")
    for name, kind, meaning in _LIMITS:
        default = getattr(_DEFAULTS, name)
        flag = f"--{name.replace('_', '-')}"
        limits.add_argument(flag, type=kind, default=default, metavar="N", help=f"{meaning} (default: {default})")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C; requests received before that are answered.

    If a run of the model still hangs then, this ends the process with status 1.

    Raises:
        EdgeDistilError: The extra is missing, the model cannot be run, or the address is unavailable.
    """
    _check_extra()
    from edgedistil_runtime.serving.server import bind, make_server

    limits = ServingLimits(**{name: getattr(options, name) for name, _, _ in _LIMITS})
    with bind(options.host, options.port) as listener, open_classifier(options) as classifier:
        if not is_loopback(options.host):
            _print(f"warning: other machines can reach {options.host}, and there is no authentication.")
        server = make_server(
            classifier,
            options.model,
            limits=limits,
            host_rule=HostRule.for_address(options.host, options.allowed_host),
            on_ready=lambda: _print(f"{classifier.metadata.name} answers at {_address(options.host, listener)}"),
        )
        server.serve_until_signal(listener)
        if server.is_model_running:
            _exit_during_run()


_LIMITS = (
    ("max_body_bytes", positive_integer, "largest body of a request, in bytes"),
    ("max_texts", positive_integer, "most texts in a request"),
    ("max_text_bytes", positive_integer, "longest text, in bytes of UTF-8"),
    ("max_batch_texts", positive_integer, "most texts in one run of the model"),
    ("max_queued_texts", positive_integer, "most texts that wait for the model"),
    ("max_connections", positive_integer, "most open connections"),
    ("body_seconds", positive_seconds, "seconds for a request to arrive"),
    ("answer_seconds", positive_seconds, "seconds from then to its response"),
    ("read_seconds", positive_seconds, "seconds for a client to read its response"),
)


def _check_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise EdgeDistilError(
            f"serve needs packages that are not installed: {', '.join(missing)}. "
            "Install them: pip install './runtime[serve]' in a checkout."
        )


def _exit_during_run() -> NoReturn:
    """End the process although a run hangs, because closing the model would wait for the run."""
    _print("error: The last run of the model did not end; the server ends without it.")
    sys.stdout.flush()
    os._exit(1)


def _port(literal: str) -> int:
    number = int(literal)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535. Received: {literal}")
    return number


_port.__name__ = "integer"  # argparse prints the name in its errors


def _address(host: str, listener: Any) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
