"""How fast LiteRT multiplies by constant weights here, by the weights' scheme: the limit of what a graph can reach.

    python benchmarks/matmul_kernels.py [--tokens 8 16 32 128] [--runs 40]
    python benchmarks/matmul_kernels.py --file MODEL.tflite [--width 768]
    python benchmarks/without_avx512.py benchmarks/matmul_kernels.py

A stack of the matmuls of six encoder layers of width 384, random weights, one thread. The schemes take turns in random
order; time is the processor time of the thread. Prints a table of 10^9 multiply-adds a second, then one line of JSON.

--file names an `int8` file with layers of that width, which takes turns with the stacks: the time of a whole text,
tokenizer included, and that of its multiply-adds at the speed of the stack in `int8`.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters.tflite.run_cost import read_run_cost
from edgedistil_runtime.contract import CLASSIFY_TEXT, TEXT
from edgedistil_runtime.text_bytes import encode_text

LAYERS = 6
PER_LAYER = 12  # squares of the width: four of attention, two of a layer four times as wide and back
INT8, FILE = "int8", "file"
SCHEMES = {  # bits and scales of the weights, as litert-quantizer names them; int8 activations are rounded at run time
    "fp32": None,
    "int8": (8, "CHANNELWISE"),
    "int4, a scale per channel": (4, "CHANNELWISE"),
    "int4, a scale per 32 weights": (4, "BLOCKWISE_32"),
}


def main() -> None:
    """Prints the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[8, 16, 32, 128])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--file", type=Path, help="an int8 file whose time is compared with that of its matmuls")
    arguments = parser.parse_args()
    width, speeds, limits = arguments.width, {}, {}
    with TemporaryDirectory() as folder:
        runners = {name: _runner(path, "stack") for name, path in _files(Path(folder), width).items()}
        if arguments.file:
            runners[FILE] = _runner(arguments.file, CLASSIFY_TEXT)
        for tokens in arguments.tokens:
            x, row = np.ones((tokens, width), np.float32), encode_text("card " * (tokens - 2))
            jobs = {
                name: partial(run, text=row) if name == FILE else partial(run, x=x) for name, run in runners.items()
            }
            seconds = _seconds(jobs, arguments.runs)
            sums = tokens * LAYERS * PER_LAYER * width * width
            speeds[tokens] = {name: sums / seconds[name] / 1e9 for name in SCHEMES}
            if arguments.file:
                cost = read_run_cost(arguments.file.read_bytes(), CLASSIFY_TEXT, {TEXT: row})
                limits[tokens] = seconds[FILE], cost.multiply_adds / speeds[tokens][INT8] / 1e9
    print(f"| weights | {' | '.join(f'{tokens} tokens' for tokens in speeds)} |\n|---|{'---|' * len(speeds)}")
    for name in SCHEMES:
        print(f"| {name} | {' | '.join(f'{found[name]:.0f}' for found in speeds.values())} |")
    for tokens, (whole, matmuls) in limits.items():
        print(f"{tokens} tokens: {1e3 * whole:.2f} ms, matmuls {1e3 * matmuls:.2f} ms, {whole / matmuls:.2f} times")
    kernels = os.environ.get("EDGEDISTIL_KERNELS", "the processor's")
    print(json.dumps({"kernels": kernels, "width": width, "speeds": speeds, "limits": limits}))


def _files(folder: Path, width: int) -> dict[str, Path]:
    """Scheme -> file."""
    from litert_quantizer import qtyping, quantizer

    paths = {name: folder / f"{index}.tflite" for index, name in enumerate(SCHEMES)}
    paths["fp32"].write_bytes(_float_model(folder / "saved", width))
    for name, scheme in SCHEMES.items():
        if scheme is not None:
            bits, granularity = scheme
            work = quantizer.Quantizer(str(paths["fp32"]))
            work.add_dynamic_config(
                ".*", qtyping.TFLOperationName.FULLY_CONNECTED, bits, qtyping.QuantGranularity[granularity]
            )
            paths[name].write_bytes(bytes(work.quantize(None).quantized_model))
    return paths


def _float_model(folder: Path, width: int) -> bytes:
    import tensorflow as tf

    random = np.random.default_rng(0)

    def dense(x: Any, outputs: int) -> Any:
        kernel = random.normal(0, x.shape[-1] ** -0.5, (x.shape[-1], outputs)).astype(np.float32)
        return tf.matmul(x, kernel) + random.normal(0, 1, outputs).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, width], name="x")], autograph=False)  # type: ignore[untyped-decorator]
    def stack(x: Any) -> Any:
        for _ in range(LAYERS):
            for outputs in (width, width, width, width, 4 * width, width):
                x = dense(x, outputs)
        return {"y": x}

    module = tf.Module()
    module.stack = stack
    tf.saved_model.save(module, str(folder), signatures={"stack": stack})
    return bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["stack"]).convert())


def _runner(path: Path, signature: str) -> Any:
    return Interpreter(model_content=path.read_bytes(), num_threads=1).get_signature_runner(signature)


def _seconds(jobs: dict[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Median processor time of each job, in turn."""
    random = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(runs):
        for name in random.permutation(list(jobs)):
            jobs[name]()  # fills the caches
            started = time.thread_time()
            jobs[name]()
            seconds[name].append(time.thread_time() - started)
    return {name: float(np.median(found)) for name, found in seconds.items()}


if __name__ == "__main__":
    main()
