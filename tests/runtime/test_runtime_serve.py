"""`edgedistil-runtime serve`: over a socket, with a model whose runs the tests hold up, and as a process of its own."""

import contextlib
import hashlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("starlette", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("uvicorn", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("prometheus_client", reason="edgedistil-runtime[serve] is not installed")

from edgedistil_runtime import BackendError, EdgeDistilError, FakeBackend, TextClassifier
from edgedistil_runtime.serving.hosts import HostRule
from edgedistil_runtime.serving.limits import ServingLimits
from edgedistil_runtime.serving.server import bind, make_server

PATIENCE = 20.0  # seconds until a test that waits for something fails


class HeldModel:
    """The echo model behind a gate: `hold` shuts it, `release` opens it, `started` says that a run waits."""

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
            assert self.gate.wait(PATIENCE)
            self.texts.append(text)
            if text == "bad":
                raise BackendError("no such luck")
            if text == "worse":
                raise ZeroDivisionError("secret")
        return self.echo.answer(signature, inputs)


@pytest.fixture
def model(echo):
    return HeldModel(echo)


@contextlib.contextmanager
def running(model_path, model, *, host_rule=None, send_buffer=None, **limits):
    """A server in a thread, with the port that it has; its kernel keeps `send_buffer` bytes for a client."""
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
            assert is_ready.wait(PATIENCE)
            yield server
        finally:
            model.release()
            server.should_exit = True
            server.thread.join(PATIENCE)
            assert not server.thread.is_alive()


@pytest.fixture
def start(fake_path, model):
    """Starts a server of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda **limits: stack.enter_context(running(fake_path, model, **limits))


@pytest.fixture(scope="module")
def served(content, echo, tmp_path_factory):
    """A server that several tests share."""
    path = tmp_path_factory.mktemp("served") / "model.tflite"
    path.write_bytes(content)
    with running(path, HeldModel(echo), max_texts=4, max_text_bytes=100) as server:
        yield server


def exchange(server, method, path, body=None, headers=None):
    """One request on a connection of its own: status, JSON, headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if path != "/metrics" else content.decode(), response.headers


def post(server, document, content_type="application/json"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return exchange(server, "POST", "/classify", body, {"content-type": content_type})


@contextlib.contextmanager
def in_background(*calls):
    """Starts calls in threads; the list that it gives has their results once the block is left."""
    results = [None] * len(calls)

    def work(position, call):
        results[position] = call()

    threads = [threading.Thread(target=work, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def metric(server, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", exchange(server, "GET", "/metrics")[1], re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_one_text(served, echo):
    status, answer, headers = post(served, {"text": "größer 日本"})
    assert (status, headers["content-type"]) == (200, "application/json")
    assert list(answer["probabilities"]) == ["low", "middle", "hög"]
    assert list(answer["probabilities"].values()) == pytest.approx(echo.probabilities("größer 日本"), abs=1e-6)
    assert answer["score"] == max(answer["probabilities"].values()) == answer["probabilities"][answer["label"]]


def test_many_texts_in_their_order(served, echo):
    texts = ["a", "", "zz", "a"]
    status, answer, _ = post(served, {"texts": texts, "top": 1})
    assert status == 200
    assert [one["score"] for one in answer["classifications"]] == pytest.approx(
        [max(echo.probabilities(text)) for text in texts], abs=1e-6
    )
    assert [list(one["probabilities"]) for one in answer["classifications"]] == [
        [one["label"]] for one in answer["classifications"]
    ]


def test_lone_surrogate(served):
    assert post(served, b'{"text": "\\ud800"}')[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"text": ', 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        ([], 422, "legal keys"),
        ({}, 422, "legal keys"),
        ({"text": "a", "texts": ["a"]}, 422, "legal keys"),
        ({"text": "a", "path": "/etc/passwd"}, 422, "legal keys.*'path'"),
        ({"text": "a", "text_pairs": ["b"]}, 422, "legal keys"),
        ({"text": 3}, 422, "text must be a string. Received: 3"),
        ({"texts": "abc"}, 422, "texts must be a non-empty list of strings. Received: 'abc'"),
        ({"texts": []}, 422, "texts must be a non-empty list"),
        ({"texts": ["a", None]}, 422, "texts must be a non-empty list"),
        ({"texts": ["a", "b"], "text_pairs": ["c"]}, 422, "2 texts, 1 text_pairs"),
        ({"text": "a", "top": 0}, 422, "top must be"),
        ({"text": "a", "top": True}, 422, "top must be"),
        ({"texts": ["a"] * 5}, 413, "4 texts. Received: 5"),
        ({"text": "ö" * 51}, 413, "100 bytes in UTF-8. Received: 102"),
        ({"text": "\ud800" * 34}, 413, "Received: 102"),
    ],
)
def test_refused_bodies(served, body, status, message):
    before = metric(served, "edgedistil_texts_total")
    received, answer, _ = post(served, body)
    assert (received, answer["status"]) == (status, status)
    assert re.search(message, answer["error"])
    assert metric(served, "edgedistil_texts_total") == before


def test_pair_for_a_model_without_pairs(served):
    status, answer, _ = post(served, {"text": "a", "text_pair": "b"})
    assert status == 422
    assert "not a pair" in answer["error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_content_type(served, content_type):
    status, answer, _ = post(served, {"text": "a"}, content_type)
    assert status == 415
    assert f"Received: '{content_type}'" in answer["error"]


def test_content_type_with_a_charset(served):
    assert post(served, {"text": "a"}, "Application/JSON; charset=utf-8")[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/classify", 405), ("GET", "/../etc/passwd", 404)])
def test_other_routes(served, method, path, status):
    received, answer, _ = exchange(served, method, path)
    assert received == status
    assert "POST /classify, GET /health, GET /metrics" in answer["error"]


def test_too_large_without_a_declared_length(start):
    server = start(max_body_bytes=1000)
    chunks = (b"x" * 500 for _ in range(5))  # which http.client sends chunked
    status, answer, headers = exchange(server, "POST", "/classify", chunks)
    assert (status, headers["connection"]) == (413, "close")
    assert "may have 1000 bytes" in answer["error"]


def test_declared_too_large_is_refused_unread(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_just_small_enough(start):
    body = json.dumps({"text": "a"}).encode()
    assert post(start(max_body_bytes=len(body)), body)[0] == 200
    assert post(start(max_body_bytes=len(body) - 1), body)[0] == 413


def test_slow_body(start):
    server = start(body_seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nhost: loc"])
def test_slow_headers(start, sent):
    server = start(body_seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        assert connection.recv(1000) == b""


@contextlib.contextmanager
def unread_answers(server, num_requests):
    """A connection that has asked for 200 labels so many times and has read nothing, once the first are answered."""
    body = json.dumps({"texts": ["a"] * 200}).encode()
    fields = f"host: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    request = f"POST /classify HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body
    with socket.socket() as connection:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request * num_requests)
        wait_until(lambda: server.server_state.total_requests)
        yield connection


# The last bytes of one answer are out of the application's hands; before the tenth, uvicorn itself waits.
@pytest.mark.parametrize("num_requests", [1, 10])
def test_client_that_does_not_read(start, num_requests):
    server = start(send_buffer=4096, read_seconds=0.3, max_connections=2)
    with unread_answers(server, num_requests):
        wait_until(lambda: not server.server_state.connections)
        assert exchange(server, "GET", "/health")[0] == 200


def test_client_that_reads_late(start):
    server = start(send_buffer=4096)
    with unread_answers(server, 1) as connection:
        assert [one.transport.get_write_buffer_size() > 0 for one in server.server_state.connections] == [True]
        time.sleep(0.5)  # some rounds of the server's watch
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert len(json.loads(response.read())["classifications"]) == 200


@pytest.mark.parametrize("header", [b"x-a: " + b"b" * 9000 + b"\r\n", b"b" * 9000])
def test_endless_headers(served, header):
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-b: ")
        with contextlib.suppress(ConnectionError):  # closed while more is sent
            for _ in range(20):
                connection.sendall(header)
            assert connection.recv(1000).startswith(b"HTTP/1.1 4")


def test_client_that_leaves(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")
    wait_until(lambda: metric(served, 'edgedistil_requests_total{path="/classify",status="499"}') == 1)
    assert post(served, {"text": "a"})[0] == 200


def test_waiting_requests_go_through_the_model_together(start, model):
    server = start()
    model.hold()
    with in_background(lambda: post(server, {"text": "first"})):
        assert model.started.wait(PATIENCE)
        with in_background(*[lambda n=n: post(server, {"text": f"{n}"}) for n in range(5)]) as answers:
            wait_until(lambda: metric(server, "edgedistil_queued_texts") == 5)
            model.release()
    assert [status for status, _, _ in answers] == [200] * 5
    assert metric(server, "edgedistil_batch_texts_count") == 2
    assert metric(server, 'edgedistil_batch_texts_bucket{le="1.0"}') == 1
    assert metric(server, "edgedistil_texts_total") == 6


def test_full_queue(start, model):
    server = start(max_texts=3, max_queued_texts=3)
    model.hold()
    with in_background(lambda: post(server, {"text": "running"})):
        assert model.started.wait(PATIENCE)
        with in_background(lambda: post(server, {"texts": ["a", "b"]})) as waiting:
            wait_until(lambda: metric(server, "edgedistil_queued_texts") == 2)
            status, answer, headers = post(server, {"texts": ["c", "d"]})
            model.release()
    assert (status, headers["retry-after"]) == (503, "1")
    assert "2 texts wait for the model, and 3 may. Received: 2 more." in answer["error"]
    assert waiting[0][0] == 200
    assert not {"c", "d"} & set(model.texts)


def test_too_slow_a_model(start, model):
    server = start(answer_seconds=0.2)
    model.hold()
    with in_background(lambda: post(server, {"text": "a"})) as running_one:
        assert model.started.wait(PATIENCE)
        waiting_one = post(server, {"text": "b"})
    assert (running_one[0][0], waiting_one[0]) == (504, 504)
    assert "within 0.2 s" in waiting_one[1]["error"]
    model.texts.clear()
    model.release()
    assert post(server, {"text": "c"})[0] == 200
    assert model.texts == ["a", "c"]  # the one that waited was dropped


def test_one_request_does_not_fail_for_another(start, model):
    server = start()
    model.hold()
    with in_background(lambda: post(server, {"text": "running"})):
        assert model.started.wait(PATIENCE)
        texts = ["good", "bad", "worse", "fine"]
        with in_background(*[lambda text=text: post(server, {"text": text}) for text in texts]) as answers:
            wait_until(lambda: metric(server, "edgedistil_queued_texts") == 4)
            model.release()
    assert [status for status, _, _ in answers] == [200, 500, 500, 200]
    assert "secret" not in json.dumps(answers[2][1])


def test_event_loop_is_free_while_the_model_runs(start, model):
    server = start()
    model.hold()
    with in_background(lambda: post(server, {"text": "running"})):
        assert model.started.wait(PATIENCE)
        assert exchange(server, "GET", "/health")[0] == 200
        model.release()


def test_health(served, fake_path):
    status, answer, _ = exchange(served, "GET", "/health")
    assert status == 200
    assert (answer["status"], answer["model"], answer["labels"]) == ("ok", "echo", ["low", "middle", "hög"])
    assert answer["sha256"] == hashlib.sha256(fake_path.read_bytes()).hexdigest()
    assert (answer["runtime"]["backend"], answer["runtime"]["golden_cases"]) == ("fake", 4)


def test_metrics(start):
    server = start()
    post(server, {"texts": ["a", "b"]})
    post(server, {})
    exchange(server, "GET", f"/{'x' * 50}")
    _, text, headers = exchange(server, "GET", "/metrics")
    assert headers["content-type"].startswith("text/plain")
    for line in (
        'edgedistil_requests_total{path="/classify",status="200"} 1.0',
        'edgedistil_requests_total{path="/classify",status="422"} 1.0',
        'edgedistil_requests_total{path="other",status="404"} 1.0',
        'edgedistil_request_seconds_count{path="/classify"} 2.0',
        "edgedistil_texts_total 2.0",
        "edgedistil_queued_texts 0.0",
    ):
        assert f"\n{line}\n" in text
    assert "xxx" not in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8317", "[::1]:8317", "LOCALHOST."])
def test_loopback_names(served, host):
    assert exchange(served, "GET", "/health", headers={"host": host})[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_other_names(served, host):
    status, answer, _ = exchange(served, "GET", "/health", headers={"host": host})
    assert status == 400
    assert f"must name one of 127.0.0.1, ::1, localhost. Received: {host!r}" in answer["error"]


def test_what_is_on_its_way_is_answered(start, model):
    server = start()
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(idle):
        idle.request("GET", "/health")
        idle.getresponse().read()
        model.hold()
        with in_background(lambda: post(server, {"text": "running"})) as answers:
            assert model.started.wait(PATIENCE)
            server.should_exit = True
            wait_until(lambda: is_refused(server.port))
            idle.request("GET", "/health")
            response = idle.getresponse()
            assert (response.status, response.headers["connection"]) == (200, "close")
            model.release()
    assert answers[0][0] == 200
    server.thread.join(PATIENCE)
    assert not server.thread.is_alive()


def test_idle_connections_do_not_keep_it(start):
    server = start()
    with socket.create_connection(("127.0.0.1", server.port)):
        server.should_exit = True
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture
def serve(echo_path):
    """Starts the command; returns it and, if it is to start, its port."""
    processes = []

    def start_process(*arguments):
        command = [sys.executable, "-m", "edgedistil_runtime", "serve", str(echo_path), *arguments]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start_process
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_until_it_is_ended(serve, number):
    process = serve("--port", "0")
    line = process.stderr.readline()
    assert re.fullmatch(r"echo answers at http://127\.0\.0\.1:\d+\n", line)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(line.rsplit(":", 1)[1]))) as connection:
        connection.request("POST", "/classify", '{"text": "hello"}', {"content-type": "application/json"})
        assert json.loads(connection.getresponse().read())["label"] == "low"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""


HANGING = """
import sys, threading
from edgedistil_runtime.backends.interpreters import InterpreterBackend
from edgedistil_runtime.cli import main

run = InterpreterBackend._run

def run_or_hang(self, signature, inputs):
    if inputs["text"][0] == ord("!"):
        threading.Event().wait()
    return run(self, signature, inputs)

InterpreterBackend._run = run_or_hang
sys.exit(main(sys.argv[1:]))
"""


def test_ends_while_a_run_hangs(echo_path):
    command = [sys.executable, "-c", HANGING, "serve", str(echo_path), "--port", "0", "--answer-seconds", "0.2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stderr.readline().rsplit(":", 1)[1])
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
                connection.request("POST", "/classify", '{"text": "!"}', {"content-type": "application/json"})
                assert connection.getresponse().status == 504
            process.terminate()
            assert process.wait(PATIENCE) == 1
            assert "run has not ended" in process.stderr.read()
        finally:
            process.kill()


def test_warning_outside_loopback(serve):
    process = serve("--port", "0", "--host", "0.0.0.0")
    assert "there is no authentication" in process.stderr.readline()


def test_port_in_use(serve):
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        process = serve("--port", str(taken.getsockname()[1]))
        assert process.wait(PATIENCE) == 1
        assert process.stderr.read().startswith("error: The server cannot listen there")


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "\udcff"])
def test_host_that_is_no_name(host):
    with pytest.raises(EdgeDistilError, match=r"cannot listen there.*Give an address of this machine"):
        bind(host, 0)
