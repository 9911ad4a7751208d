"""Sections on the contents of the files, their origin, and how everything was measured."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgedistil.measuring.measurements import BaselineFacts, FileFacts, KerasFacts, MeasuredModel, Measurements
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.plots import bar_legend, stacked_bars
from edgedistil.report.tables import data_table, digest, model_name, words

__all__ = ["circumstances_section", "files_section", "origin_section"]


def files_section(measurements: Measurements) -> Markup | None:
    """Constants by dtype, matmuls and ops of each file; `None` if there are no files."""
    files = [(model, model.file) for model in measurements.models if model.file]
    if not files:
        return None
    names = [model_name(measurements, model, is_short=True) for model, _ in files]
    bars = {
        model.name: {k: v / 1e6 for k, v in sorted(file.constant_bytes.items(), key=lambda item: -item[1])}
        for model, file in files
    }
    title = "Constants in each file by dtype"
    counts = [(model, file.constant_bytes) for model, file in files]
    matmuls = [(model, file.matmul_weights) for model, file in files]
    integers = [(model, file.integer_ops) for model, file in files]
    ops = [(model, {f"{op.op} v{op.version}": op.count for op in file.ops}) for model, file in files]
    all_ops = _count_table("Ops and versions, over all signatures", "op", names, ops)
    return joined(
        [
            element(
                "figure",
                element("figcaption", title),
                bar_legend(bars),
                stacked_bars(bars, unit="MB", title=title, key="constants"),
            ),
            _count_table("Bytes of constants by dtype", "dtype", names, counts),
            _count_table("Matmuls by the dtype of their weights, over all signatures", "dtype", names, matmuls),
            _count_table("Ops that compute in integers, over all signatures", "op", names, integers),
            element("details", element("summary", "All ops"), all_ops),
        ]
    )


def _count_table(
    caption: str, what: str, names: Sequence[Markup], counts: Sequence[tuple[MeasuredModel, Mapping[str, int]]]
) -> Markup | None:
    keys = sorted({key for _, some in counts for key in some})
    if not keys:
        return None
    rows = [[key, *(f"{some[key]:,}" if key in some else None for _, some in counts)] for key in keys]
    return data_table(caption, [what, *names], rows)


def origin_section(measurements: Measurements) -> Markup:
    """Metadata of the models, side by side."""
    facts = [_facts(model) for model in measurements.models]
    keys = list(dict.fromkeys(key for some in facts for key in some))
    rows = [[key, *(_fact(key, some.get(key)) for some in facts)] for key in keys]
    columns = ["", *(model_name(measurements, model) for model in measurements.models)]
    return data_table("Metadata of each model", columns, rows, class_="facts")


def _fact(key: str, value: str | None) -> Markup:
    return digest(value or "") if "sha256" in key else words(value or "–")


def _facts(model: MeasuredModel) -> dict[str, str]:
    if model.keras:
        return _keras_facts(model.keras)
    if model.baseline:
        return _baseline_facts(model.baseline)
    return _file_facts(model, model.file) if model.file else {}


def _keras_facts(keras: KerasFacts) -> dict[str, str]:
    return {
        "name": keras.source,
        "quantization": f"none: {keras.weight_bytes:,} bytes of weights, run by Keras",
        "tokenizer": f"KerasHub's, {keras.sequence_length} tokens",
        "architecture": f"parameters {keras.parameters:,}",
        "versions": _pairs(keras.versions),
    }


def _baseline_facts(baseline: BaselineFacts) -> dict[str, str]:
    return {
        "name": f"trained on {baseline.texts:,} texts of {baseline.data}",
        "quantization": f"none: {baseline.size:,} bytes, run by scikit-learn",
        "tokenizer": "n-grams of 1 to 2 words and 2 to 5 characters",
        "architecture": f"features {baseline.features:,}",
        "versions": _pairs(baseline.versions),
    }


def _file_facts(model: MeasuredModel, file: FileFacts) -> dict[str, str]:
    return {
        "name": file.name,
        "quantization": _pairs(file.quantization),
        "tokenizer": _pairs(file.tokenizer),
        "architecture": _pairs(file.architecture),
        "parity with Keras": _pairs(file.parity),
        "preparation": _pairs(file.preparation) or "none",
        "target": f"{file.target}, TFLite {file.oldest_runtime or '?'} or newer",
        "versions": _pairs(file.versions),
        "golden cases": str(file.golden_cases),
        "bytes": f"{model.size:,}, of which {file.flatbuffer_size:,} are the TFLite model",
        "sha256": file.sha256,
        "sha256 of the TFLite model": file.flatbuffer_sha256,
    }


def circumstances_section(measurements: Measurements) -> Markup:
    """Time, place and method of the measurement."""
    settings, timed, data = measurements.settings, measurements.timed, measurements.data
    facts: dict[str, Child] = {
        "when": measurements.measured_at,
        "machine": str(measurements.machine),
        "data": f"{data.name}: {data.texts:,} texts, {len(measurements.labels)} classes",
        "sha256 of the data": data.sha256,
        "version": f"edgedistil {measurements.edgedistil}",
    }
    speeds = [model.speed for model in measurements.models if model.speed]
    if timed and speeds:
        backends = ", ".join(dict.fromkeys(f"{speed.backend} on {speed.accelerator}" for speed in speeds))
        facts |= {
            "run by": backends,
            "threads": str(settings.num_threads or "as many as the interpreter takes by default"),
            "timed texts": f"{timed.count:,}, every k-th by length: {timed.shortest} to {timed.longest} characters, "
            f"median {timed.median:g}",
            "time": f"{settings.runs} runs of each model in turns. The time of a text is its median over the runs; "
            "percentiles are over the texts, so a slow moment of the machine is not in them. Texts a second are the "
            "median of the runs.",
            "start-up and memory": f"Medians of {settings.starts} processes for each file, which import only the "
            "runtime, check the file, replay its golden cases and label one text. Peak memory includes Python and "
            f"NumPy{_bare(measurements)}.",
        }
    rows = [[key, digest(str(value)) if "sha256" in key else words(value)] for key, value in facts.items() if value]
    return data_table("How it was measured", ("", ""), rows, class_="facts")


def _bare(measurements: Measurements) -> str:
    sizes = [m.speed.load.bare_bytes for m in measurements.models if m.speed and m.speed.load.bare_bytes]
    return f", which are {min(sizes) / 1e6:.0f} MB before a file is opened" if sizes else ""


def _pairs(values: Mapping[str, Any]) -> str:
    """Keys and values as one line."""
    return ", ".join(f"{key} {_plain(value)}" for key, value in values.items() if value not in ({}, [], (), None))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
