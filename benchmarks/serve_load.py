"""`edgedistil-runtime serve` under load: requests a second and latency, and whether any request is lost at the end.

    python benchmarks/serve_load.py MODEL.tflite [--clients 1 8 64] [--seconds 5] [--serve-option=--max-batch-texts=1]

The server and the clients are processes of their own, on loopback. A client keeps one connection open and sends its
next text when the answer to the last has come. Then, with most clients at work, the server gets a SIGTERM: a request
is lost if it was sent and not answered; a connection that is refused is none. A table comes first, one line of JSON
last.
"""

import argparse
import asyncio
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field

TEXTS = (
    "turn on the light in the kitchen",
    "wake me up at half past six, please",
    "is it going to rain tomorrow?",
    "play some jazz",
    "make it two degrees warmer in the bedroom",
    "close the blinds",
    "what is the capital of france",
    "lock the front door and show me the camera",
)


@dataclass
class Outcome:
    """What the clients saw: milliseconds of each answer with status 200, other statuses, and what went wrong."""

    milliseconds: list[float] = field(default_factory=list)
    refusals: int = 0
    lost: int = 0
    connections_refused: int = 0


def main() -> None:
    """Runs the clients if asked to be them, and otherwise the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument(
        "--serve-option", action="append", default=[], help="for the server, as --serve-option=--flag=N"
    )
    parser.add_argument("--as-clients-of", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_clients_of:
        outcome = asyncio.run(load(arguments.as_clients_of, arguments.clients[0], arguments.seconds))
        print(json.dumps(vars(outcome)))
    else:
        benchmark(arguments)


def benchmark(arguments: argparse.Namespace) -> None:
    """Starts the server, measures, ends it under load, and prints."""
    server, port = start_server(arguments.model, arguments.serve_option)
    rows = []
    try:
        finish_clients(start_clients(arguments, port, 8, 1.0))  # warm
        for count in arguments.clients:
            before = metrics(port)
            outcome = finish_clients(start_clients(arguments, port, count, arguments.seconds))
            rows.append(row(count, arguments.seconds, outcome, before, metrics(port)))
        ending = end_under_load(server, arguments, port)
    finally:
        server.kill()
    print("| clients | requests/s | p50, ms | p99, ms | CPU, ms a request | texts a run | refused | lost |")
    print("|---" * 8 + "|")
    for one in rows:
        print(
            f"| {one['clients']} | {one['requests_per_second']:.0f} | {one['p50_ms']:.2f} | {one['p99_ms']:.2f} "
            f"| {one['cpu_ms']:.2f} | {one['texts_per_run']:.1f} | {one['refused']} | {one['lost']} |"
        )
    print(
        f"\nSIGTERM under {max(arguments.clients)} clients: {ending['answered']} requests answered, {ending['lost']} "
        f"lost; exit status {ending['exit_status']} after {ending['seconds_to_exit']:.2f} s"
    )
    print(json.dumps({"load": rows, "ending": ending}))


def start_server(model: str, options: list[str]) -> tuple[subprocess.Popen[str], int]:
    """The running server and its port, which it tells on stderr."""
    command = [sys.executable, "-m", "edgedistil_runtime", "serve", model, "--port", "0", *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    line = server.stderr.readline()
    if "answers at" not in line:
        raise SystemExit(f"the server did not start: {line}")
    return server, int(line.rsplit(":", 1)[1])


def start_clients(arguments: argparse.Namespace, port: int, count: int, seconds: float) -> subprocess.Popen[str]:
    """The clients as one process."""
    command = [sys.executable, __file__, arguments.model, "--as-clients-of", str(port)]
    command += ["--clients", str(count), "--seconds", str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish_clients(process: subprocess.Popen[str]) -> Outcome:
    """What they saw."""
    printed, _ = process.communicate()
    return Outcome(**json.loads(printed))


def end_under_load(server: subprocess.Popen[str], arguments: argparse.Namespace, port: int) -> dict[str, float]:
    """Ends the server while clients are at work."""
    clients = start_clients(arguments, port, max(arguments.clients), 4.0)
    time.sleep(2.0)
    server.send_signal(signal.SIGTERM)
    started = time.perf_counter()
    status = server.wait(timeout=60)
    seconds = time.perf_counter() - started
    outcome = finish_clients(clients)
    return {
        "answered": len(outcome.milliseconds) + outcome.refusals,
        "lost": outcome.lost,
        "connections_refused": outcome.connections_refused,
        "exit_status": status,
        "seconds_to_exit": seconds,
    }


def metrics(port: int) -> dict[str, float]:
    """The server's own counters."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        lines = [line for line in response.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def row(
    clients: int, seconds: float, outcome: Outcome, before: dict[str, float], after: dict[str, float]
) -> dict[str, float]:
    """One line of the table; the server must have counted as many answers as the clients."""
    answered = 'edgedistil_requests_total{path="/classify",status="200"}'
    counted = after[answered] - before[answered]
    if counted != len(outcome.milliseconds):
        raise SystemExit(f"the server counts {counted:.0f} answers, the clients {len(outcome.milliseconds)}")
    runs = after["edgedistil_batch_texts_count"] - before["edgedistil_batch_texts_count"]
    cpu_seconds = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
    percentiles = statistics.quantiles(outcome.milliseconds, n=100)
    return {
        "clients": clients,
        "requests_per_second": len(outcome.milliseconds) / seconds,
        "p50_ms": percentiles[49],
        "p99_ms": percentiles[98],
        "cpu_ms": cpu_seconds / counted * 1e3,
        "texts_per_run": (after["edgedistil_texts_total"] - before["edgedistil_texts_total"]) / runs,
        "refused": outcome.refusals,
        "lost": outcome.lost,
    }


async def load(port: int, clients: int, seconds: float) -> Outcome:
    """So many clients for so long."""
    outcome = Outcome()
    end = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, number, end, outcome) for number in range(clients)))
    return outcome


async def client(port: int, number: int, end: float, outcome: Outcome) -> None:
    """One connection, opened again when the server closes it, until the server is gone or the time is over."""
    texts = itertools.islice(itertools.cycle(TEXTS), number, None)
    while time.perf_counter() < end:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            outcome.connections_refused += 1
            return
        is_open = True
        while is_open and time.perf_counter() < end:
            is_open = await exchange(reader, writer, next(texts), outcome)
        writer.close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str, outcome: Outcome) -> bool:
    """Sends one request and reads its answer; returns whether the connection can be used again."""
    body = json.dumps({"text": text, "top": 1}).encode()
    head = f"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
    head += "content-type: application/json\r\n\r\n"
    started = time.perf_counter()
    try:
        writer.write(head.encode() + body)
        headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(headers.partition("content-length: ")[2].partition("\r\n")[0])
        json.loads(await reader.readexactly(length))
    except (OSError, EOFError):
        outcome.lost += 1
        return False
    if headers.startswith("http/1.1 200"):
        outcome.milliseconds.append((time.perf_counter() - started) * 1e3)
    else:
        outcome.refusals += 1
    return "connection: close" not in headers


if __name__ == "__main__":
    main()
