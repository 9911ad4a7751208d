"""Writes a checkpoint for the race, and what the other runtimes make of it. Runs in the environment of the race.

    .venv-race/bin/python benchmarks/race_checkpoint.py minilm --data ../shared/data/banking77 --encoder DIR --out DIR

`minilm` has the weights of the encoder in --encoder, the other shapes are drawn at random: time does not depend on
weights. In all of them the last layer is a logistic regression on training texts, so that there are labels to compare.
Written are a directory as transformers writes it, ONNX files (as exported; fused by ONNX Runtime's optimizer; both with
dynamic int8, and that with a tokenizer in the graph), a CTranslate2 directory, and a model of OpenVINO that NNCF
quantized. What cannot be written is left out with a line on standard error.
"""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

SHAPES = {"base": (6, 768, 12), "minilm": (6, 384, 12), "small": (4, 256, 4), "tiny": (2, 128, 2)}
FITTED_ON = 3000  # texts
# The inverse of the regularization of the last layer. With random weights the features say little, and a layer that is
# sure of each of them would turn a rounding error of int4 into another label with a probability of 1.
CERTAINTY = {"minilm": 1.0}
UNCERTAIN = 0.01
CALIBRATED_ON = 300  # of them, for OpenVINO's ranges


def read(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def make_model(shape: str, encoder: Path, labels: list[str]) -> Any:
    """A classifier of a shape, with attention that exporters know."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    if shape == "minilm":
        return BertForSequenceClassification.from_pretrained(encoder, attn_implementation="eager", **names)
    layers, width, heads = SHAPES[shape]
    spread = width**-0.5  # of random weights; much less gives all texts the same features, more makes rounding matter
    vocabulary = len(AutoTokenizer.from_pretrained(encoder))
    torch.manual_seed(0)
    if shape == "base":
        return DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=vocabulary, initializer_range=spread, attn_implementation="eager", **names)
        )
    config = BertConfig(
        vocab_size=vocabulary,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        initializer_range=spread,
        position_embedding_type="absolute",  # CTranslate2 asks for it
        attn_implementation="eager",
        **names,
    )
    return BertForSequenceClassification(config)


def fit_head(model: Any, tokenizer: Any, texts: list[str], numbers: list[int], *, certainty: float) -> None:
    """Replaces the last layer by a logistic regression of what it reads; certainty is scikit-learn's `C`."""
    seen: list[Any] = []
    hook = model.classifier.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numpy()))
    with torch.inference_mode():
        for start in range(0, len(texts), 64):
            model(**tokenizer(texts[start : start + 64], return_tensors="pt", padding=True, truncation=True))
    hook.remove()
    features = np.concatenate(seen)
    center, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    fitted = LogisticRegression(max_iter=300, C=certainty).fit((features - center) / scale, numbers)
    kernel = fitted.coef_ / scale
    bias = fitted.intercept_ - kernel @ center
    model.classifier.weight.data = torch.tensor(kernel, dtype=torch.float32)
    model.classifier.bias.data = torch.tensor(bias, dtype=torch.float32)


class Inputs(torch.nn.Module):
    """Logits of ids and a mask, as exporters trace it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        """Returns logits, [texts, classes]."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def write_onnx(model: Any, shape: str, out: Path) -> None:
    """Writes plain.onnx, fused.onnx and their int8 forms."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    _, width, heads = SHAPES[shape]
    example = torch.ones(2, 8, dtype=torch.int64)
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        Inputs(model),
        (example, example),
        str(out / "plain.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )
    fused = optimize_model(str(out / "plain.onnx"), model_type="bert", num_heads=heads, hidden_size=width)
    fused.save_model_to_file(str(out / "fused.onnx"))
    counts = {name: count for name, count in fused.get_fused_operator_statistics().items() if count}
    (out / "fused.json").write_text(json.dumps(counts), "utf-8")
    for name in ("plain", "fused"):
        for suffix, is_reduced in (("int8", False), ("int8_reduced", True)):
            target = str(out / f"{name}_{suffix}.onnx")
            quantize_dynamic(
                str(out / f"{name}.onnx"),
                target,
                per_channel=True,
                reduce_range=is_reduced,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": TensorProto.FLOAT},  # of the outputs of fused ops
            )


def write_ctranslate2(out: Path) -> None:
    """Writes the encoder in int8; the head is read from the checkpoint."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(out / "checkpoint")).convert(str(out / "ctranslate2"), quantization="int8", force=True)


def write_text_onnx(out: Path) -> None:
    """Writes text_int8.onnx: plain_int8.onnx behind the tokenizer of onnxruntime-extensions."""
    import onnx
    from onnx import TensorProto, compose, helper
    from onnxruntime_extensions import gen_processing_models
    from transformers import BertTokenizer

    tokenizer = BertTokenizer(str(out / "checkpoint" / "vocab.txt"), do_lower_case=True)
    [text, _] = gen_processing_models(tokenizer, pre_kwargs={"CAST_TOKEN_ID": True}, opset=17)
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [0])
    text.graph.initializer.append(axis)
    names = ("input_ids", "attention_mask")
    kept = [helper.make_tensor_value_info(f"{name}_row", TensorProto.INT64, ["texts", "tokens"]) for name in names]
    text.graph.node.extend(helper.make_node("Unsqueeze", [name, "axis"], [f"{name}_row"]) for name in names)
    del text.graph.output[:]
    text.graph.output.extend(kept)
    model = onnx.load(out / "plain_int8.onnx")
    versions = {one.domain: one.version for one in (*text.opset_import, *model.opset_import)}  # those of the model win
    for one in (text, model):
        del one.opset_import[:]
        one.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in versions.items())
        one.ir_version = 8
    pairs = [(f"{name}_row", f"model_{name}") for name in names]
    onnx.save(compose.merge_models(text, compose.add_prefix(model, "model_"), pairs), out / "text_int8.onnx")


def write_openvino(texts: list[str], out: Path) -> None:
    """Writes openvino_int8.xml: NNCF's static int8, calibrated on some texts, in the settings for transformers."""
    import nncf
    import openvino as ov

    tokenizer = AutoTokenizer.from_pretrained(out / "checkpoint")

    def inputs(text: str) -> dict[str, Any]:
        row = tokenizer(text, return_tensors="np")
        return {name: row[name].astype("int64") for name in ("input_ids", "attention_mask")}

    quantized = nncf.quantize(
        ov.Core().read_model(out / "plain.onnx"),
        nncf.Dataset(texts, inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(texts),
    )
    ov.save_model(quantized, out / "openvino_int8.xml")


def attempt(name: str, write: Callable[[], None]) -> None:
    """Runs a step that another runtime may refuse."""
    try:
        write()
    except Exception as error:  # whatever a peer raises, the others go on
        print(f"{name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)


def main() -> None:
    """Writes everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=list(SHAPES))
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv")
    parser.add_argument("--encoder", type=Path, required=True, help="a BERT's directory, with its tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    texts, labels = read(options.data / "train.csv")
    names = sorted(set(labels))
    tokenizer = AutoTokenizer.from_pretrained(options.encoder)
    model = make_model(options.shape, options.encoder, names).eval()
    chosen = np.random.default_rng(0).permutation(len(texts))[:FITTED_ON]
    numbers = [names.index(labels[i]) for i in chosen]
    certainty = CERTAINTY.get(options.shape, UNCERTAIN)
    fit_head(model, tokenizer, [texts[i] for i in chosen], numbers, certainty=certainty)
    model.save_pretrained(options.out / "checkpoint")
    tokenizer.save_pretrained(options.out / "checkpoint")
    shutil.copy(options.encoder / "vocab.txt", options.out / "checkpoint" / "vocab.txt")
    attempt("onnx", lambda: write_onnx(model, options.shape, options.out))
    attempt("ctranslate2", lambda: write_ctranslate2(options.out))
    attempt("onnxruntime-extensions", lambda: write_text_onnx(options.out))
    attempt("openvino", lambda: write_openvino([texts[i] for i in chosen[:CALIBRATED_ON]], options.out))


if __name__ == "__main__":
    main()
