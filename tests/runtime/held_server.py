"""A server in a thread, with a model whose runs a test can delay, and clients for it."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time

from edgedistil_runtime import BackendError, FakeBackend, TextClassifier
from edgedistil_runtime.serving.hosts import HostRule
from edgedistil_runtime.serving.limits import ServingLimits
from edgedistil_runtime.serving.server import bind, make_server

from ..conftest import HANG


class HeldModel:
    """The echo model with a gate: `hold` shuts it, `release` opens it, `started` is set when a run waits."""

    def __init__(self, echo):
        self.echo = echo
        self.gate, self.started, self.texts = threading.Event(), threading.Event(), []
        self.gate.set()

    def hold(self):
        self.gate.clear()
        self.started.clear()

    def release(self):
        self.gate.set()

    def answer(self, signature, inputs):
        if signature == "classify_text":
            text = bytes(inputs["text"].astype("uint8")).split(b"\0")[0].decode()
            self.started.set()
            assert self.gate.wait(HANG)
            self.texts.append(text)
            if text == "bad":
                raise BackendError("no such luck")
            if text == "worse":
                raise ZeroDivisionError("secret")
        return self.echo.answer(signature, inputs)


@contextlib.contextmanager
def running(model_path, model, *, host_rule=None, send_buffer=None, **limits):
    """A server in a thread, with its `port`; the kernel buffers `send_buffer` bytes per client.

    It is patient: only a time limit that a test passes is ever reached.
    """
    limits = {"body_seconds": HANG, "answer_seconds": HANG, "read_seconds": HANG, **limits}
    is_ready, rule = threading.Event(), host_rule or HostRule.for_address("127.0.0.1")
    classifier = TextClassifier(model_path, backend=FakeBackend(model.answer))
    with classifier, bind("127.0.0.1", 0) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        server = make_server(
            classifier, model_path, limits=ServingLimits(**limits), host_rule=rule, on_ready=is_ready.set
        )
        server.port = listener.getsockname()[1]
        server.thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        server.thread.start()
        try:
            assert is_ready.wait(HANG)
            yield server
        finally:
            model.release()
            server.should_exit = True
            server.thread.join(HANG)
            assert not server.thread.is_alive()


def exchange(server, method, path, body=None, headers=None):
    """Send one request on a new connection; return status, JSON and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if path != "/metrics" else content.decode(), response.headers


def post(server, document, content_type="application/json"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return exchange(server, "POST", "/classify", body, {"content-type": content_type})


def metric(server, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", exchange(server, "GET", "/metrics")[1], re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def wait_until(condition):
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
