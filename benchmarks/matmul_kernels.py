"""How fast LiteRT multiplies by constant weights here, by the weights' scheme: the limit of what a graph can reach.

    python benchmarks/matmul_kernels.py [--tokens 8 16 32 128] [--runs 40]
    python benchmarks/without_avx512.py benchmarks/matmul_kernels.py

A stack of the matmuls of six encoder layers of width 384, random weights, one thread. The schemes take turns in random
order; time is the processor time of the thread. Prints a table of 10^9 multiply-adds a second, then one line of JSON.
"""

import argparse
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

WIDTH, HIDDEN, LAYERS = 384, 1536, 6
MULTIPLY_ADDS = LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * HIDDEN)  # a token
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
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        runners = {name: _runner(path) for name, path in _files(Path(folder)).items()}
        speeds = {tokens: _speeds(runners, tokens, arguments.runs) for tokens in arguments.tokens}
    print(f"| weights | {' | '.join(f'{tokens} tokens' for tokens in speeds)} |\n|---|{'---|' * len(speeds)}")
    for name in SCHEMES:
        print(f"| {name} | {' | '.join(f'{found[name]:.0f}' for found in speeds.values())} |")
    print(json.dumps({"kernels": os.environ.get("EDGEDISTIL_KERNELS", "the processor's"), "speeds": speeds}))


def _files(folder: Path) -> dict[str, Path]:
    """Scheme -> file."""
    from litert_quantizer import qtyping, quantizer

    paths = {name: folder / f"{index}.tflite" for index, name in enumerate(SCHEMES)}
    paths["fp32"].write_bytes(_float_model(folder / "saved"))
    for name, scheme in SCHEMES.items():
        if scheme is not None:
            bits, granularity = scheme
            work = quantizer.Quantizer(str(paths["fp32"]))
            work.add_dynamic_config(
                ".*", qtyping.TFLOperationName.FULLY_CONNECTED, bits, qtyping.QuantGranularity[granularity]
            )
            paths[name].write_bytes(bytes(work.quantize(None).quantized_model))
    return paths


def _float_model(folder: Path) -> bytes:
    import tensorflow as tf

    random = np.random.default_rng(0)

    def dense(x: Any, outputs: int) -> Any:
        kernel = random.normal(0, x.shape[-1] ** -0.5, (x.shape[-1], outputs)).astype(np.float32)
        return tf.matmul(x, kernel) + random.normal(0, 1, outputs).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], name="x")], autograph=False)  # type: ignore[untyped-decorator]
    def stack(x: Any) -> Any:
        for _ in range(LAYERS):
            for outputs in (WIDTH, WIDTH, WIDTH, WIDTH, HIDDEN, WIDTH):
                x = dense(x, outputs)
        return {"y": x}

    module = tf.Module()
    module.stack = stack
    tf.saved_model.save(module, str(folder), signatures={"stack": stack})
    return bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["stack"]).convert())


def _runner(path: Path) -> Any:
    return Interpreter(model_content=path.read_bytes(), num_threads=1).get_signature_runner("stack")


def _speeds(runners: dict[str, Any], tokens: int, runs: int) -> dict[str, float]:
    """Scheme -> 10^9 multiply-adds a second, from the median run."""
    x, random = np.ones((tokens, WIDTH), np.float32), np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(runs):
        for name in random.permutation(list(runners)):
            runners[name](x=x)  # fills the caches
            started = time.thread_time()
            runners[name](x=x)
            seconds[name].append(time.thread_time() - started)
    return {name: tokens * MULTIPLY_ADDS / float(np.median(found)) / 1e9 for name, found in seconds.items()}


if __name__ == "__main__":
    main()
