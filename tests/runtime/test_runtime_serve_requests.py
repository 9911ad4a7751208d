"""`edgedistil-runtime serve`: its responses, and the requests that it refuses."""

import contextlib
import hashlib
import re
import socket

import pytest

pytest.importorskip("starlette", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("uvicorn", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("prometheus_client", reason="edgedistil-runtime[serve] is not installed")

from ..conftest import HANG
from .held_server import HeldModel, exchange, metric, post, running, wait_until


@pytest.fixture(scope="module")
def served(content, echo, tmp_path_factory):
    """A server that several tests share."""
    path = tmp_path_factory.mktemp("served") / "model.tflite"
    path.write_bytes(content)
    with running(path, HeldModel(echo), max_texts=4, max_text_bytes=100) as server:
        yield server


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


def test_declared_too_large_is_refused_unread(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG) as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("header", [b"x-a: " + b"b" * 9000 + b"\r\n", b"b" * 9000])
def test_endless_headers(served, header):
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-b: ")
        with contextlib.suppress(ConnectionError):  # closed while more is sent
            for _ in range(20):
                connection.sendall(header)
            assert connection.recv(1000).startswith(b"HTTP/1.1 4")


def test_client_that_leaves(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG) as connection:
        connection.sendall(b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")
    wait_until(lambda: metric(served, 'edgedistil_requests_total{path="/classify",status="499"}') == 1)
    assert post(served, {"text": "a"})[0] == 200


def test_health(served, fake_path):
    status, answer, _ = exchange(served, "GET", "/health")
    assert status == 200
    assert (answer["status"], answer["model"], answer["labels"]) == ("ok", "echo", ["low", "middle", "hög"])
    assert answer["sha256"] == hashlib.sha256(fake_path.read_bytes()).hexdigest()
    assert (answer["runtime"]["backend"], answer["runtime"]["golden_cases"]) == ("fake", 4)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8317", "[::1]:8317", "LOCALHOST."])
def test_loopback_names(served, host):
    assert exchange(served, "GET", "/health", headers={"host": host})[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_other_names(served, host):
    status, answer, _ = exchange(served, "GET", "/health", headers={"host": host})
    assert status == 400
    assert f"must name one of 127.0.0.1, ::1, localhost. Received: {host!r}" in answer["error"]
