"""Metrics of `GET /metrics` in Prometheus' text format, without texts of clients or labels of answers."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["ServingMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServingMetrics:
    """Metrics of one server, in a separate registry.

    Args:
        model: Name of the model, a label of `edgedistil_model_info`.
        sha256: Digest of its file, a label as well.

    Example:
        >>> metrics = ServingMetrics(model="intents", sha256="ab12")
        >>> metrics.count_request("/classify", 200, 0.004)
        >>> b'edgedistil_requests_total{path="/classify",status="200"} 1.0' in metrics.text()
        True
    """

    def __init__(self, *, model: str, sha256: str) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        info = Gauge("edgedistil_model_info", "The model that is served.", ["name", "sha256"], registry=registry)
        info.labels(model, sha256).set(1)
        self._requests = Counter(
            "edgedistil_requests", "Requests by route and status.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "edgedistil_request_seconds",
            "Seconds from a request's headers to its response.",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._texts = Counter("edgedistil_texts", "Texts run by the model.", registry=registry)
        self._batches = Histogram(
            "edgedistil_batch_texts", "Texts in a run of the model.", buckets=_TEXTS, registry=registry
        )
        self._runs = Histogram(
            "edgedistil_run_seconds", "Seconds of a run of the model.", buckets=_SECONDS, registry=registry
        )
        self._queued = Gauge("edgedistil_queued_texts", "Texts that wait for the model.", registry=registry)
        self._registry = registry

    def watch_queue(self, num_queued: Callable[[], int]) -> None:
        """Call `num_queued` whenever the metrics are read."""
        self._queued.set_function(num_queued)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request; `path` must be one of a few, because each makes a new series."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_batch(self, texts: int, seconds: float) -> None:
        """Count a run of the model; may be called from any thread."""
        self._texts.inc(texts)
        self._batches.observe(texts)
        self._runs.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
