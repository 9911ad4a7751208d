"""How int4 weights are rounded, and what that costs: nearest, GPTQ, and what litert-quantizer offers.

    python -m datasets.smart_home build/smart_home
    python benchmarks/int4_rounding.py --model smart_home_tiny_en build/smart_home [--model PRESET DATA ...]

Each preset becomes one graph whose matmuls are float and whose embeddings are those of the int4 plan; its matmuls are
then quantized by each rounding, and the test split of the data goes through the file and through Keras. The row without
int4 matmuls is what a rounding can reach at best. GPTQ is calibrated on texts of the training split. A table comes
first, one line of JSON last; seconds and memory are of the rounding alone, on whatever else the machine does.
"""

import argparse
import json
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgedistil.data import read_labelled_texts
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.quantization.int4 import BLOCK, MOST_TEXTS, fill_zero_blocks, input_hessians
from edgedistil_converters.quantization.plan import LayerScheme, QuantizationPlan
from edgedistil_converters.quantization.quantize import quantize
from edgedistil_converters.signatures import TextClassifierModule
from edgedistil_converters.tflite.quiet import quiet
from edgedistil_converters.tflite.site_names import site_of
from edgedistil_converters.tokenizer.settings import read_tokenizer

INT4 = QuantizationPlan("int4")
FLOAT_MATMULS = QuantizationPlan("fp32", (LayerScheme("*_embeddings", "int4"),))
SIGNATURE = "classify_tokens"
Rows = Sequence[Sequence[int]]


def float_model(classifier: Any) -> bytes:
    """The graph that every rounding starts from."""
    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    module = TextClassifierModule(read_weights(classifier), settings, vocabulary, FLOAT_MATMULS, ModelInterface("none"))
    return convert_module(module, FLOAT_MATMULS, {})


def roundings(model: bytes, num_layers: int, rows: Rows) -> dict[str, Callable[[], bytes]]:
    """Name -> what makes the file."""
    dtypes = INT4.weight_dtypes(num_layers)
    by_channel = replace(INT4, int4_scales="channel")
    return {
        "none: float matmuls": lambda: model,
        "nearest": lambda: quantize(model, INT4, dtypes),
        "gptq": lambda: quantize(model, INT4.calibrated(num_layers), dtypes, None, rows),
        "nearest, a scale a channel": lambda: quantize(model, by_channel, dtypes),
        "gptq, a scale a channel": lambda: quantize(model, by_channel.calibrated(num_layers), dtypes, None, rows),
        "octav of litert-quantizer": lambda: by_quantizer(model, "OCTAV"),
        "gptq of litert-quantizer": lambda: by_quantizer(model, "GPTQ", statistics(model, rows)),
    }


def by_quantizer(model: bytes, algorithm: str, found: dict[str, dict[str, Any]] | None = None) -> bytes:
    """The model by an algorithm of litert-quantizer, in blocks of 32 where they divide a channel."""
    from litert_quantizer import algorithm_manager, qtyping, quantizer

    every = matmuls(model)
    even = [site for site, (_, weights) in every.items() if weights.shape[1] % BLOCK == 0]
    uneven = [site for site in every if site not in even]
    granularity, key = qtyping.QuantGranularity, algorithm_manager.AlgorithmName[algorithm]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "float.tflite")
        path.write_bytes(fill_zero_blocks(model, even))
        work = quantizer.Quantizer(str(path))
        for sites, scales in ((even, granularity.BLOCKWISE_32), (uneven, granularity.CHANNELWISE)):
            if sites:
                pattern = f"/({'|'.join(map(re.escape, sites))});"
                work.add_dynamic_config(pattern, qtyping.TFLOperationName.FULLY_CONNECTED, 4, scales, key)
        with quiet():
            return bytes(work.quantize(found).quantized_model)


def statistics(model: bytes, rows: Rows) -> dict[str, dict[str, Any]]:
    """The X^T X of every matmul's input as litert-quantizer takes it: by the name of the tensor."""
    every = matmuls(model)
    hessians = input_hessians(model, every, rows)
    return {name: {"hessian": hessians[site]} for site, (name, _) in every.items()}


def matmuls(model: bytes) -> dict[str, tuple[str, np.ndarray]]:
    """Site -> (name of what goes in, weights float32[outputs, inputs]) of every matmul."""
    root = schema.Model.GetRootAs(model, 0)
    [signature] = [root.SignatureDefs(i) for i in range(root.SignatureDefsLength())]
    subgraph, found = root.Subgraphs(signature.SubgraphIndex()), {}
    for op in map(subgraph.Operators, range(subgraph.OperatorsLength())):
        if root.OperatorCodes(op.OpcodeIndex()).BuiltinCode() == schema.BuiltinOperator.FULLY_CONNECTED:
            inputs, weights, outputs = map(subgraph.Tensors, (op.Inputs(0), op.Inputs(1), op.Outputs(0)))
            values = root.Buffers(weights.Buffer()).DataAsNumpy().view(np.float32).reshape(weights.ShapeAsNumpy())
            found[site_of(outputs.Name().decode(), SIGNATURE)] = (inputs.Name().decode(), values)
    return found


def probabilities(model: bytes, rows: Rows) -> np.ndarray:
    """float32[texts, classes]."""
    run = Interpreter(model_content=model, num_threads=1).get_signature_runner(SIGNATURE)
    return np.concatenate([run(token_ids=np.array([row], np.int32))["probabilities"] for row in rows])


def measure(preset: str, data: Path) -> list[dict[str, Any]]:
    """A row for each rounding."""
    trained = load_labelled_classifier(preset)
    training, test = (read_labelled_texts(data / f"{part}.csv") for part in ("train", "test"))
    texts = training.texts[:: -(-len(training) // MOST_TEXTS)]
    rows, test_rows = (list(unpadded_rows(trained.classifier.preprocessor, some)) for some in (texts, test.texts))
    keras = predict_probabilities(trained.classifier, test.texts)
    due = np.array([trained.labels.index(label) for label in test.labels])
    model = float_model(trained.classifier)
    results = [{"model": trained.name, "rounding": "Keras", "accuracy": float((keras.argmax(1) == due).mean())}]
    for name, make in roundings(model, trained.classifier.backbone.num_layers, rows).items():
        started = time.perf_counter()
        found = make()
        seconds = time.perf_counter() - started
        answers = probabilities(found, test_rows)
        difference = np.abs(answers - keras)
        results.append(
            {
                "model": trained.name,
                "rounding": name,
                "mean": float(difference.mean()),
                "largest": float(difference.max()),
                "agreement": float((answers.argmax(1) == keras.argmax(1)).mean()),
                "accuracy": float((answers.argmax(1) == due).mean()),
                "seconds": seconds,
                "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            }
        )
    return results


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| model | rounding | mean difference | largest | agrees with Keras | accuracy | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["model"], row["rounding"]]
        if "mean" in row:
            cells += [f"{row['mean']:.6f}", f"{row['largest']:.3f}", f"{row['agreement']:.2%}"]
        else:
            cells += ["", "", ""]
        cells += [f"{row['accuracy']:.2%}", f"{row['seconds']:.1f}" if "seconds" in row else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures every model and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model",
        nargs=2,
        action="append",
        required=True,
        metavar=("PRESET", "DATA"),
        help="a trained preset, and a folder with its train.csv and test.csv; may be given again",
    )
    arguments = parser.parse_args()
    rows = [row for preset, data in arguments.model for row in measure(preset, Path(data))]
    print(table(rows))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
