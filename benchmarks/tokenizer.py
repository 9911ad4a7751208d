"""What the tokenizer in the graph costs: bytes, milliseconds, how they grow, and its share of a whole answer.

    python benchmarks/tokenizer.py --shared ../shared

1. Bytes that it adds to a file and seconds that its tables take to build, for the English and the multilingual
   vocabulary; beside it the form made of TensorFlow Text's ops. A file with a tokenizer is compared with one without.
2. Milliseconds at 50 characters and the curve from 16 to 8,192, beside TensorFlow Text's ops, Hugging Face's
   `tokenizers` and KerasHub's preprocessor, on windows of one stream of real texts, one thread each. Every tokenizer
   gets each text in turn, so that a noisy machine disturbs all alike, and gets it twice: the second run is the one
   reported, the first, with cold caches, beside it at 50 characters. Medians; the line that shows how they grow goes
   through tenth percentiles, which other work on the machine disturbs least.
3. The same for texts made to be hard: one long word, CJK, combining marks, emoji.
4. DistilBERT-base (int8, random weights): the time of `tokenize` over that of `classify_text`, pair by pair. The
   encoder stops at 512 tokens and the tokenizer does not, so long texts are the hard case.

Markdown first, one line of JSON last (`--json FILE` writes it to a file too). `--quick` is a smoke run of a minute.
"""

import argparse
import csv
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
from tokenizer_peers import (
    BARE,
    BUILTIN,
    KERAS_HUB,
    OTHER_RULES,
    TOKENIZERS,
    Peer,
    make_hugging_face_preprocessor,
    make_peers,
    make_preprocessor,
)

from edgedistil.builder import build_backbone
from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier
from edgedistil_converters.tokenizer import spelling
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime import LiteRTInterpreterBackend
from edgedistil_runtime.text_bytes import encode_text

SEQUENCE_LENGTH = 512
ENGLISH, MULTILINGUAL = "bert-base-uncased", "bert-base-multilingual-cased"
LENGTHS = tuple(2**k for k in range(4, 14))  # characters
SHARE_LENGTHS = (18, 50, 96, 276, 1000, 4000)
SHORT = 50  # characters of the goal in milliseconds
RULES_LENGTHS, RULES_GOAL = (
    (50, 276),
    0.8,
)  # characters; Hugging Face's rules over KerasHub's, in bytes and milliseconds
LINEAR_FROM = 512  # characters: below, the fixed cost of some 300 ops shows
BYTES_GOALS = {ENGLISH: 1.2e6, MULTILINGUAL: 5e6}
SECONDS_GOAL, MS_GOAL, SHARE_GOAL = 10.0, 0.2, 0.05
LABELS = ("one", "two", "three", "four")
HARD_TEXTS = {
    "one word": "internationalization",
    "CJK": "東京特許許可局長今日急遽休暇許可拒否",
    "marks": "e\u0301a\u0323\u0302o\u0308",
    "emoji": "👍🏽👨‍👩‍👧🎉",
}

Prepare = Callable[[str], Callable[[], Any]]


def stream(data: Path) -> str:
    """The texts of a data set, in a fixed random order."""
    with data.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    random.Random(0).shuffle(texts)
    return " ".join(texts)


def windows(source: str, length: int, count: int) -> list[str]:
    """Texts of exactly that many characters, from different places."""
    source *= 1 + (length + count) // len(source)
    step = max(1, (len(source) - length) // count)
    return [source[i * step : i * step + length] for i in range(count)]


@dataclass
class Times:
    """Milliseconds of one function, one for each text.

    Attributes:
        cold: right after other functions ran, whose data are in the caches.
        warm: once again at once.
    """

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)


def time_in_turn(runs: Mapping[str, Prepare], texts: Sequence[str]) -> dict[str, Times]:
    """Runs all functions on a text, in an order that changes, then on the next text."""
    times = {name: Times() for name in runs}
    order = list(runs)
    for i, text in enumerate((texts[0], *texts)):
        for name in order[i % len(order) :] + order[: i % len(order)]:
            run = runs[name](text)
            for taken in (times[name].cold, times[name].warm):
                started = time.perf_counter()
                run()
                taken.append((time.perf_counter() - started) * 1e3)
    return {name: Times(taken.cold[1:], taken.warm[1:]) for name, taken in times.items()}  # the first set things up


def undisturbed(milliseconds: Sequence[float]) -> float:
    """The tenth percentile: what it takes while the machine has little else to do."""
    return float(np.percentile(milliseconds, 10))


def measure_tables(kind: str, vocabulary: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processor to build a tokenizer's tables, nothing of it in a cache."""
    arguments = read_tokenizer(make_preprocessor(vocabulary, SEQUENCE_LENGTH))
    spelling._all_spellings.cache_clear()
    started = time.perf_counter(), time.process_time()
    TOKENIZERS[kind][0](*arguments)
    return time.perf_counter() - started[0], time.process_time() - started[1]


def convert(
    vocabulary: Path, size: str, path: Path, tokenizer: str = "builtin", make: Callable[..., Any] = make_preprocessor
) -> int:
    """Converts a classifier with random weights to int8; returns the bytes of the file."""
    keras.utils.set_random_seed(0)
    preprocessor = make(vocabulary, SEQUENCE_LENGTH)
    backbone = build_backbone(size, vocabulary_size=preprocessor.tokenizer.vocabulary_size())
    classifier = keras_hub.models.DistilBertTextClassifier(backbone, len(LABELS), preprocessor=preprocessor)
    interface = ModelInterface(tokenizer)
    convert_classifier(classifier, LABELS, path, plan=QuantizationPlan("int8"), interface=interface, force=True)
    return path.stat().st_size


def measure_sizes(vocabulary: Path, folder: Path) -> list[dict[str, Any]]:
    """Bytes of a file with each tokenizer less those of one without; the archive and `classify_tokens` are in both."""
    sizes = {kind: convert(vocabulary, "tiny", folder / f"{kind}.tflite", kind) for kind in ("none", *TOKENIZERS)}
    rows = []
    for kind in TOKENIZERS:
        seconds, processor_seconds = measure_tables(kind, vocabulary)
        row = {"vocabulary": vocabulary.stem, "tokenizer": kind, "bytes": sizes[kind] - sizes["none"]}
        rows.append({**row, "seconds": seconds, "processor_seconds": processor_seconds})
    return rows


def measure_rules(vocabulary: Path, folder: Path, peers: Mapping[str, Peer], source: str, count: int) -> dict[str, Any]:
    """Bytes and milliseconds of both sets of rules in turn, and their ratios: Hugging Face's over KerasHub's."""
    sizes = {kind: convert(vocabulary, "tiny", folder / "rules.tflite", kind) for kind in ("none", "builtin")}
    make = make_hugging_face_preprocessor
    sizes |= {
        f"{kind}, Hugging Face": convert(vocabulary, "tiny", folder / "rules.tflite", kind, make)
        for kind in ("none", "builtin")
    }
    added = sizes["builtin"] - sizes["none"], sizes["builtin, Hugging Face"] - sizes["none, Hugging Face"]
    found: dict[str, Any] = {"bytes": added, "bytes_ratio": added[1] / added[0], "ms": {}, "ms_ratio": {}}
    for length in RULES_LENGTHS:
        runs = {peer: peers[peer].prepare for peer in (BUILTIN, OTHER_RULES)}
        times = time_in_turn(runs, windows(source, length, count))
        ms = [statistics.median(times[peer].warm) for peer in runs]
        found["ms"][length], found["ms_ratio"][length] = ms, ms[1] / ms[0]
    return found


def measure_peers(peers: Mapping[str, Peer], texts: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Median milliseconds of each tokenizer, and on how many texts it gives KerasHub's ids."""
    rows = []
    for name, some in texts.items():
        times = time_in_turn({peer: peers[peer].prepare for peer in peers}, some)
        ids = {peer: [peers[peer].token_ids(text) for text in some[:10]] for peer in peers}
        equal = {peer: np.mean([a == b for a, b in zip(ids[peer], ids[KERAS_HUB], strict=True)]) for peer in peers}
        rows.append(
            {
                "texts": name,
                "characters": len(some[0]),
                "bytes": statistics.median(len(text.encode()) for text in some),
                "ms": {peer: statistics.median(taken.warm) for peer, taken in times.items()},
                "cold_ms": {peer: statistics.median(taken.cold) for peer, taken in times.items()},
                "equal_ids": equal,
            }
        )
    return rows


def measure_growth(peer: Peer, source: str, repeats: int) -> dict[str, Any]:
    """A line through one tokenizer's undisturbed times on long texts, and how well they lie on it.

    The lengths are taken in turn, so that what disturbs for a while disturbs all of them.
    """
    lengths = [length for length in LENGTHS if length >= LINEAR_FROM]
    taken: dict[int, list[float]] = {length: [] for length in lengths}
    for texts in zip(*(windows(source, length, repeats) for length in lengths), strict=True):
        for length, text in zip(lengths, texts, strict=True):
            taken[length] += time_in_turn({"it": peer.prepare}, [text])["it"].warm
    x, y = np.array([(length, undisturbed(times)) for length, times in taken.items()], float).T
    slope, offset = np.polyfit(x, y, 1, w=1 / y)  # relative errors count alike
    return {
        "undisturbed_ms": dict(zip(lengths, y.tolist(), strict=True)),
        "microseconds_per_character": slope * 1e3,
        "offset_ms": offset,
        "largest_relative_residual": float(np.max(np.abs(slope * x + offset - y) / y)),
        "last_over_last_but_one": y[-1] / y[-2],
    }


def measure_share(path: Path, texts: Mapping[int, Sequence[str]], threads: int) -> list[dict[str, Any]]:
    """Milliseconds of both signatures, and the median of their ratio, text by text.

    Taken cold: in a whole answer too, the tokenizer runs when the encoder's weights fill the caches.
    """
    backend = LiteRTInterpreterBackend(path, num_threads=threads)

    def prepare(signature: str) -> Prepare:
        return lambda text: lambda: backend.run(signature, {"text": encode_text(text)})

    rows = []
    for length, some in texts.items():
        times = time_in_turn({name: prepare(name) for name in ("tokenize", "classify_text")}, some)
        pairs = zip(times["tokenize"].cold, times["classify_text"].cold, strict=True)
        tokens = [backend.run("tokenize", {"text": encode_text(text)})["token_ids"].size for text in some]
        row = {"characters": length, "tokens": statistics.median(tokens)}
        row |= {name: statistics.median(taken.cold) for name, taken in times.items()}
        row["share"] = statistics.median(a / b for a, b in pairs)
        row["undisturbed_share"] = undisturbed(times["tokenize"].cold) / undisturbed(times["classify_text"].cold)
        rows.append(row)
    backend.close()
    return rows


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table; floats get three significant digits."""
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(f'{cell:.3g}' if isinstance(cell, float) else str(cell) for cell in row)} |")


def verdict(value: float, goal: float) -> str:
    """For a table."""
    return f"{'met' if value <= goal else 'MISSED'} ({goal:g})"


def print_report(result: Mapping[str, Any]) -> None:
    """All tables."""
    head = ("vocabulary", "tokenizer", "MB added", "goal", "tables, s", "CPU s", "goal for CPU s")
    print_table(
        head,
        [
            (
                row["vocabulary"], row["tokenizer"], f"{row['bytes'] / 1e6:.3f}",
                verdict(row["bytes"] / 1e6, BYTES_GOALS[row["vocabulary"]] / 1e6),
                row["seconds"], row["processor_seconds"], verdict(row["processor_seconds"], SECONDS_GOAL),
            )
            for row in result["sizes"]
        ],
    )  # fmt: skip
    for rows in (result["curve"], result["hard_texts"]):
        names = list(rows[0]["ms"])
        cells = [(row["texts"], *row["ms"].values(), row["ms"][BUILTIN] * 1e3 / row["bytes"]) for row in rows]
        print_table(("ms; characters", *names, "builtin, μs a byte"), cells)
    rules = result["rules"]
    ratios = {"bytes": rules["bytes_ratio"], **{f"{length} characters": r for length, r in rules["ms_ratio"].items()}}
    for name, ratio in ratios.items():
        print(f"\nHugging Face's rules over KerasHub's, {name}: {ratio:.2f}, {verdict(ratio, RULES_GOAL)}")
    short = result["curve"][0]
    cold = {name: round(ms, 3) for name, ms in short["cold_ms"].items()}
    print(f"\nbuiltin at {SHORT} characters: {verdict(short['ms'][BUILTIN], MS_GOAL)} ms; with cold caches: {cold}")
    for name, value in result["growth"].items():
        print(f"builtin from {LINEAR_FROM} characters on, {name}: {value}")
    equal = {name: np.mean([row["equal_ids"][name] for row in result["curve"]]) for name in result["curve"][0]["ms"]}
    print("texts with KerasHub's ids:", {name: f"{share:.0%}" for name, share in equal.items()})
    head = ("characters", "tokens", "tokenize ms", "classify_text ms", "share", "share, undisturbed", "goal")
    print_table(
        head,
        [(*row.values(), verdict(max(row["share"], row["undisturbed_share"]), SHARE_GOAL)) for row in result["share"]],
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with vocab/ and data/snips/")
    parser.add_argument("--repeats", type=int, default=101, help="texts of each length")
    parser.add_argument("--threads", type=int, default=2, help="threads for the share of DistilBERT-base")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--quick", action="store_true", help="one vocabulary, a tiny model, three texts of a length")
    arguments = parser.parse_args()
    repeats = 3 if arguments.quick else arguments.repeats
    vocabularies = [arguments.shared / "vocab" / f"{name}.txt" for name in (ENGLISH, MULTILINGUAL)]
    source = stream(arguments.shared / "data" / "snips" / "test.csv")
    result: dict[str, Any] = {"load_before": os.getloadavg(), "threads": arguments.threads, "repeats": repeats}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = vocabularies[:1] if arguments.quick else vocabularies
        result["sizes"] = [row for vocabulary in chosen for row in measure_sizes(vocabulary, folder)]
        peers = make_peers(vocabularies[0], SEQUENCE_LENGTH, folder)
        result["rules"] = measure_rules(vocabularies[0], folder, peers, source, repeats)
        texts = {f"{length:,}": windows(source, length, repeats) for length in (SHORT, *LENGTHS)}
        result["curve"] = measure_peers(peers, texts)
        result["growth"] = measure_growth(peers[BUILTIN], source, repeats)
        hard = {f"{kind}, {n:,}": windows(text, n, repeats) for kind, text in HARD_TEXTS.items() for n in LENGTHS[-2:]}
        result["hard_texts"] = measure_peers({peer: peers[peer] for peer in (BUILTIN, BARE, KERAS_HUB)}, hard)
        path = folder / "whole.tflite"
        convert(vocabularies[0], "tiny" if arguments.quick else "base", path)
        share_texts = {length: windows(source, length, repeats) for length in SHARE_LENGTHS}
        result["share"] = measure_share(path, share_texts, arguments.threads)
    result["load_after"] = os.getloadavg()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; tokenizers on one thread, the whole")
    print(f"model on {arguments.threads}; {repeats} texts of each length; load {result['load_before'][0]:.1f} before,")
    print(f"{result['load_after'][0]:.1f} after")
    print_report(result)
    line = json.dumps(result)
    if arguments.json:
        arguments.json.write_text(f"{line}\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
