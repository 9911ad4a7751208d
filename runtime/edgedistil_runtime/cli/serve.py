"""`edgedistil-runtime serve MODEL`: answers other programs over HTTP; see `edgedistil_runtime.serving`."""

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

__all__ = ["add_parser", "run"]

_NEEDED = ("starlette", "uvicorn", "prometheus_client")
_DEFAULTS = ServingLimits()


def add_parser(commands: Any) -> None:
    """Declares the command."""
    summary = "Answer other programs over HTTP: POST /classify, GET /health, GET /metrics."
    parser = commands.add_parser("serve", help=summary, description=summary)
    add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8317, metavar="N", help="default: 8317; 0 takes a free one")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that requests may have in their Host header; may be repeated (default: loopback names)",
    )
    limits = parser.add_argument_group("limits")
    for name, kind, meaning in _LIMITS:
        default = getattr(_DEFAULTS, name)
        flag = f"--{name.replace('_', '-')}"
        limits.add_argument(flag, type=kind, default=default, metavar="N", help=f"{meaning} (default: {default})")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serves until SIGTERM or Ctrl-C; what has come in by then is answered.

    Where a run of the model hangs at that end, the process ends here with status 1.

    Raises:
        EdgeDistilError: the extra is missing, the model cannot be run, or the address cannot be had.
    """
    _check_extra()
    from edgedistil_runtime.serving.server import bind, make_server

    limits = ServingLimits(**{name: getattr(options, name) for name, _, _ in _LIMITS})
    with bind(options.host, options.port) as listener, open_classifier(options) as classifier:
        if not is_loopback(options.host):
            _say(f"warning: {options.host} can be reached from other machines, and there is no authentication.")
        server = make_server(
            classifier,
            options.model,
            limits=limits,
            host_rule=HostRule.for_address(options.host, options.allowed_host),
            on_ready=lambda: _say(f"{classifier.metadata.name} answers at {_address(options.host, listener)}"),
        )
        server.serve_until_signal(listener)
        if server.is_model_running:
            _end_without_the_model()


_LIMITS = (
    ("max_body_bytes", positive_integer, "bytes of a request's body"),
    ("max_texts", positive_integer, "texts in a request"),
    ("max_text_bytes", positive_integer, "bytes of a text in UTF-8"),
    ("max_batch_texts", positive_integer, "texts in one run of the model"),
    ("max_queued_texts", positive_integer, "texts that wait for the model"),
    ("max_connections", positive_integer, "open connections"),
    ("body_seconds", positive_seconds, "seconds for a request to arrive"),
    ("answer_seconds", positive_seconds, "seconds from then to its answer"),
    ("read_seconds", positive_seconds, "seconds for a client to read what it is sent"),
)


def _check_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise EdgeDistilError(
            f"serve needs packages that are not installed: {', '.join(missing)}. "
            "Install them: pip install './runtime[serve]' in a checkout."
        )


def _end_without_the_model() -> NoReturn:
    """Ends the process although a run hangs: closing the model, here or in a destructor, would wait for it."""
    _say("error: The model's last run has not ended; the server ends without it.")
    sys.stdout.flush()
    os._exit(1)


def _port(literal: str) -> int:
    number = int(literal)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535. Received: {literal}")
    return number


_port.__name__ = "integer"  # argparse names the type in its errors


def _address(host: str, listener: Any) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
