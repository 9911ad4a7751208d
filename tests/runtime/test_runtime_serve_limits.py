"""`edgedistil-runtime serve` under load: limits, slow clients, the queue, and shutdown."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

pytest.importorskip("starlette", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("uvicorn", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("prometheus_client", reason="edgedistil-runtime[serve] is not installed")

from ..conftest import HANG
from .held_server import HeldModel, exchange, metric, post, running, wait_until


@pytest.fixture
def model(echo):
    return HeldModel(echo)


@pytest.fixture
def start(fake_path, model):
    """Start a separate server."""
    with contextlib.ExitStack() as stack:
        yield lambda **limits: stack.enter_context(running(fake_path, model, **limits))


@contextlib.contextmanager
def in_background(*calls):
    """Start calls in threads; the yielded list has their results after the block."""
    results = [None] * len(calls)

    def work(position, call):
        results[position] = call()

    threads = [threading.Thread(target=work, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join(HANG)
        assert not thread.is_alive()


# Limits and slow clients


def test_too_large_without_a_declared_length(start):
    server = start(max_body_bytes=1000)
    chunks = (b"x" * 500 for _ in range(5))  # which http.client sends chunked
    status, answer, headers = exchange(server, "POST", "/classify", chunks)
    assert (status, headers["connection"]) == (413, "close")
    assert "may have 1000 bytes" in answer["error"]


def test_just_small_enough(start):
    body = json.dumps({"text": "a"}).encode()
    assert post(start(max_body_bytes=len(body)), body)[0] == 200
    assert post(start(max_body_bytes=len(body) - 1), body)[0] == 413


def test_slow_body(start):
    server = start(body_seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG) as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nhost: loc"])
def test_slow_headers(start, sent):
    server = start(body_seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG) as connection:
        connection.sendall(sent)
        assert connection.recv(1000) == b""


@contextlib.contextmanager
def unread_answers(server, num_requests):
    """A connection that has sent this many requests of 200 texts and read nothing, after the first are answered."""
    body = json.dumps({"texts": ["a"] * 200}).encode()
    fields = f"host: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    request = f"POST /classify HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body
    with socket.socket() as connection:
        connection.settimeout(HANG)
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


# The queue


def test_waiting_requests_go_through_the_model_together(start, model):
    server = start()
    model.hold()
    with in_background(lambda: post(server, {"text": "first"})):
        assert model.started.wait(HANG)
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
        assert model.started.wait(HANG)
        with in_background(lambda: post(server, {"texts": ["a", "b"]})) as waiting:
            wait_until(lambda: metric(server, "edgedistil_queued_texts") == 2)
            status, answer, headers = post(server, {"texts": ["c", "d"]})
            model.release()
    assert (status, headers["retry-after"]) == (503, "1")
    assert "2 texts wait for the model; at most 3 may. Received: 2 more." in answer["error"]
    assert waiting[0][0] == 200
    assert not {"c", "d"} & set(model.texts)


def test_too_slow_a_model(start, model):
    server = start(answer_seconds=0.2)
    model.hold()
    with in_background(lambda: post(server, {"text": "a"})) as running_one:
        assert model.started.wait(HANG)
        waiting_one = post(server, {"text": "b"})
    assert (running_one[0][0], waiting_one[0]) == (504, 504)
    assert "within 0.2 s" in waiting_one[1]["error"]
    model.texts.clear()
    model.release()
    wait_until(lambda: post(server, {"text": "c"})[0] == 200)  # on a busy machine not the first time
    assert model.texts[0] == "a"
    assert set(model.texts) == {"a", "c"}  # the one that waited was dropped


def test_one_request_does_not_fail_for_another(start, model):
    server = start()
    model.hold()
    with in_background(lambda: post(server, {"text": "running"})):
        assert model.started.wait(HANG)
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
        assert model.started.wait(HANG)
        assert exchange(server, "GET", "/health")[0] == 200
        model.release()


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


# Shutdown


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=HANG).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_on_its_way_is_answered(start, model, monkeypatch):
    monkeypatch.setattr("edgedistil_runtime.serving.server._DRAIN_SECONDS", HANG)
    server = start()
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG)
    with contextlib.closing(idle):
        idle.request("GET", "/health")
        idle.getresponse().read()
        model.hold()
        with in_background(lambda: post(server, {"text": "running"})) as answers:
            assert model.started.wait(HANG)
            server.should_exit = True
            wait_until(lambda: is_refused(server.port))
            idle.request("GET", "/health")
            response = idle.getresponse()
            assert (response.status, response.headers["connection"]) == (200, "close")
            model.release()
    assert answers[0][0] == 200
    server.thread.join(HANG)
    assert not server.thread.is_alive()


def test_idle_connections_do_not_keep_it(start):
    server = start()
    with socket.create_connection(("127.0.0.1", server.port)):
        server.should_exit = True
        server.thread.join(HANG)
        assert not server.thread.is_alive()
