"""Speed of `.tflite` files, measured side by side: latency, throughput, start-up and memory.

A *run* classifies every text once with one model. The models take turns, run by run, and the result is the median over
a model's runs, so that a machine that is busy for a moment disturbs all models equally: the latency of a text is the
median of its milliseconds, the throughput the median of the runs'.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.benchmarking.load_cost import LoadCost, measure_load
from edgedistil_runtime.benchmarking.machine import Machine, read_machine
from edgedistil_runtime.benchmarking.texts import BENCHMARK_TEXTS, TimedTexts, choose_texts, describe_texts
from edgedistil_runtime.benchmarking.timing import Run, alternate, call_speed, text_times
from edgedistil_runtime.contract import CPU, NO_TOKENIZER
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.native_log import native_log_hidden

__all__ = [
    "Benchmark",
    "BenchmarkSettings",
    "LengthLatency",
    "ModelSpeed",
    "benchmark",
    "display_names",
    "open_classifiers",
    "require_text_input",
    "time_classifiers",
]

Progress = Callable[[str], None]

# Upper bounds of the groups by length, in characters; longer texts are the last group.
_LENGTHS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class BenchmarkSettings:
    """Settings of a measurement.

    Attributes:
        runs: Runs of each model.
        largest_sample: Texts of a data file that are timed, at most.
        starts: Processes in which each model is opened.
        accelerator: As in `TextClassifier`.
        num_threads: Threads for one text; `None` leaves it to the interpreter.

    Example:
        >>> BenchmarkSettings(runs=0)
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: `runs` must be at least 1. Received: 0.
    """

    runs: int = 5
    largest_sample: int = 200
    starts: int = 3
    accelerator: str = CPU
    num_threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("runs", "largest_sample", "starts"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` must be at least 1. Received: {getattr(self, name)}.")


@dataclass(frozen=True)
class LengthLatency:
    """Latency of texts of similar length.

    Attributes:
        name: Lengths in characters, such as `17–32`.
        texts: Number of texts.
        p50_ms, p90_ms: Percentiles over the texts, in milliseconds.
    """

    name: str
    texts: int
    p50_ms: float
    p90_ms: float


@dataclass(frozen=True)
class ModelSpeed:
    """Speed of one file.

    Attributes:
        model: File name.
        size: Bytes of the file.
        p50_ms, p90_ms, p99_ms: Percentiles of the latency over the texts, classified one by one, in milliseconds.
        texts_per_second: Throughput, one text after the other.
        batch_texts_per_second: Throughput, all texts in one call of `classify_batch`.
        load: Cost of a start.
        backend: Backend that ran it, with its version.
        accelerator: Device that it ran on.
        lengths: Latency by length of text, the shortest first.
    """

    model: str
    size: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    texts_per_second: float
    batch_texts_per_second: float
    load: LoadCost
    backend: str
    accelerator: str
    lengths: tuple[LengthLatency, ...]


@dataclass(frozen=True)
class Benchmark:
    """Speeds of several files on one machine, with the same texts.

    Attributes:
        machine: Machine that was measured on.
        texts: Texts that were timed.
        settings: Settings of the measurement.
        models: Speed of each file.
    """

    machine: Machine
    texts: TimedTexts
    settings: BenchmarkSettings
    models: tuple[ModelSpeed, ...]

    @property
    def circumstances(self) -> tuple[str, ...]:
        """Lines for people: which texts, how often, and on what."""
        texts, settings = self.texts, self.settings
        threads = f"{settings.num_threads} threads" if settings.num_threads else "threads by default"
        backends = ", ".join(dict.fromkeys(speed.backend for speed in self.models))
        return (
            f"{texts.count} texts of {texts.source or 'the built-in ones'}, {texts.shortest} to {texts.longest} "
            f"characters (median {texts.median:.0f}); medians of {settings.runs} runs",
            f"{self.machine}; {backends} on {self.models[0].accelerator}, {threads}",
        )

    def to_dict(self) -> dict[str, Any]:
        """The speeds as plain data."""
        return asdict(self)


def benchmark(
    paths: Sequence[Path],
    texts: Sequence[str] = BENCHMARK_TEXTS,
    *,
    source: str | None = None,
    settings: BenchmarkSettings | None = None,
    on_progress: Progress = lambda _: None,
) -> Benchmark:
    """Measures files side by side.

    Args:
        paths: `.tflite` files that EdgeDistil wrote.
        texts: Texts to classify; if there are more than `settings.largest_sample`, a sample of all lengths.
        source: Name of the file that the texts come from.
        settings: Settings of the measurement.
        on_progress: Called with a line for people before each step.

    Raises:
        ArtifactError: a file is missing, foreign or damaged.
        InputError: a file has no tokenizer.
        BackendError: a file cannot be run here.
        DataError: there are no texts.

    Example:
        >>> settings = BenchmarkSettings(runs=1, starts=1, largest_sample=3)
        >>> [speed] = benchmark([Path("intents.tflite")], ["lights off", "play music"], settings=settings).models
        >>> speed.model, 0 < speed.p50_ms <= speed.p99_ms
        ('intents.tflite', True)
    """
    chosen = settings or BenchmarkSettings()
    with open_classifiers(paths, chosen) as classifiers:
        return time_classifiers(classifiers, paths, texts, source=source, settings=chosen, on_progress=on_progress)


def time_classifiers(
    classifiers: Sequence[TextClassifier],
    paths: Sequence[Path],
    texts: Sequence[str],
    *,
    source: str | None,
    settings: BenchmarkSettings,
    on_progress: Progress = lambda _: None,
) -> Benchmark:
    """Measures classifiers that are already open, as `benchmark` does: `paths[i]` is the file of `classifiers[i]`."""
    sample = choose_texts(texts, settings.largest_sample)
    names = display_names(paths)
    runs = alternate(classifiers, sample, settings.runs, on_progress)
    loads = _loads(paths, sample, settings, on_progress)
    models = tuple(
        _speed(name, path, classifier, sample, mine, load)
        for name, path, classifier, mine, load in zip(names, paths, classifiers, runs, loads, strict=True)
    )
    return Benchmark(read_machine(), describe_texts(sample, source), settings, models)


@contextmanager
def open_classifiers(paths: Sequence[Path], settings: BenchmarkSettings) -> Iterator[list[TextClassifier]]:
    """Opens classifiers of files that take text, and closes them at the end of the block.

    Raises:
        ArtifactError, InputError, BackendError: as `benchmark`.

    Example:
        >>> with open_classifiers([Path("intents.tflite")], BenchmarkSettings()) as [classifier]:
        ...     classifier.labels
        ('lights', 'music', 'weather')
    """
    for path in paths:
        require_text_input(path)
    with ExitStack() as stack:
        with native_log_hidden():
            classifiers = [
                stack.enter_context(TextClassifier(path, settings.accelerator, settings.num_threads)) for path in paths
            ]
        yield classifiers


def require_text_input(path: Path) -> None:
    """Checks that a path is a file of EdgeDistil that takes text.

    Raises:
        ArtifactError: the file is missing, foreign or damaged.
        InputError: the path is a directory, or the file has no tokenizer.

    Example:
        >>> require_text_input(Path("intents.tflite"))
        >>> require_text_input(Path("intents"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: Speed is measured on .tflite files. ...
    """
    if path.is_dir():
        raise InputError(
            f"Speed is measured on .tflite files. Received: {path}, which is a directory. Convert it first, with "
            "`edgedistil convert`."
        )
    if read_artifact(path).metadata.tokenizer.kind == NO_TOKENIZER:
        raise InputError(
            f"The model must take text. Received: {path}, which was converted without a tokenizer (none) and takes "
            "token ids. Convert it again with the builtin tokenizer."
        )


def display_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """File names; equal ones get their folder in front, or a number if that does not help.

    Example:
        >>> display_names([Path("a/x.tflite"), Path("b/x.tflite"), Path("y.tflite")])
        ('a/x.tflite', 'b/x.tflite', 'y.tflite')
    """
    short = [path.name or str(path) for path in paths]
    names = [
        f"{path.parent.name}/{name}" if short.count(name) > 1 and path.parent.name else name
        for path, name in zip(paths, short, strict=True)
    ]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})" for i, name in enumerate(names)
    )


def _loads(
    paths: Sequence[Path], texts: Sequence[str], settings: BenchmarkSettings, on_progress: Progress
) -> list[LoadCost]:
    """The median cost of a start of each file; the files take turns."""
    found: list[list[LoadCost]] = [[] for _ in paths]
    for turn in range(settings.starts):
        for path, costs in zip(paths, found, strict=True):
            on_progress(f"starting {path.name} in a new process, {turn + 1} of {settings.starts}")
            costs.append(
                measure_load(path, texts[0], accelerator=settings.accelerator, num_threads=settings.num_threads)
            )
    return [_median_load(costs) for costs in found]


def _median_load(costs: Sequence[LoadCost]) -> LoadCost:
    def median(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return int(statistics.median(known)) if known else None

    return LoadCost(
        load_ms=statistics.median(cost.load_ms for cost in costs),
        import_ms=statistics.median(cost.import_ms for cost in costs),
        peak_bytes=median([cost.peak_bytes for cost in costs]),
        bare_bytes=median([cost.bare_bytes for cost in costs]),
    )


def _speed(
    name: str, path: Path, classifier: TextClassifier, texts: Sequence[str], runs: Sequence[Run], load: LoadCost
) -> ModelSpeed:
    calls = call_speed(runs)
    info = classifier.runtime_info
    return ModelSpeed(
        model=name,
        size=path.stat().st_size,
        **asdict(calls),
        load=load,
        backend=f"{info.backend} {info.version}".strip(),
        accelerator=info.accelerator,
        lengths=tuple(_lengths(texts, text_times(runs))),
    )


def _lengths(texts: Sequence[str], milliseconds: NDArray[np.float64]) -> Iterator[LengthLatency]:
    groups = np.searchsorted(_LENGTHS, [len(text) for text in texts])  # [texts]; a bound belongs to the group below it
    starts, ends = (0, *(bound + 1 for bound in _LENGTHS)), (*map(str, _LENGTHS), "")
    for group in sorted(set(groups.tolist())):
        chosen = milliseconds[groups == group]
        p50, p90 = map(float, np.percentile(chosen, (50, 90)))
        name = f"{starts[group]}–{ends[group]}" if ends[group] else f"{starts[group]} and more"
        yield LengthLatency(name, len(chosen), p50, p90)
