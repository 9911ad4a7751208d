"""One contestant of the race, as a child process: raw text in, label out, whatever runtime is between.

    python benchmarks/race_contestant.py NAME FOLDER THREADS

Prints a line of JSON when it is ready; then reads requests, a line of JSON each, and answers each with one:
`{"texts": [...], "together": false}` -> `{"labels": [...], "seconds": [...], "megabytes": ...}`. `seconds` are those of
each text, tokenizer included, or of all of them if they are classified `together`; `megabytes` is the largest size of
the process so far. `{"scores": [...]}` -> `{"scores": [[...], ...]}`: probabilities, which show that contestants have
the same weights.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BATCH = 32  # texts together, of similar length, for runtimes that leave it to their callers


def edgedistil(name: str) -> Callable[..., Any]:
    """A file of this project through its runtime."""

    def load(folder: Path, threads: int) -> Any:
        from edgedistil_runtime import TextClassifier

        model = TextClassifier(folder / f"edgedistil_{name}.tflite", num_threads=threads)

        def scores(texts: Sequence[str]) -> list[list[float]]:
            return [list(answer.probabilities.values()) for answer in model.classify_batch(texts)]

        def one(text: str) -> int:
            return model.labels.index(model.classify(text).label)

        return one, scores

    return load


def keras_hub(folder: Path, threads: int) -> Any:
    """KerasHub's own export, which takes rows of 128 token ids, with Hugging Face's tokenizer."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(str(folder / "checkpoint" / "vocab.txt"))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    runner = Interpreter(str(folder / "keras_hub.tflite"), num_threads=threads).get_signature_runner()
    details = runner.get_input_details()

    def scores(texts: Sequence[str]) -> Any:
        found = []
        for text in texts:
            row = tokenizer.encode(text)
            given = {"token_ids": row.ids, "padding_mask": row.attention_mask}
            inputs = {
                name: np.array([given["token_ids" if "token" in name else "padding_mask"]], detail["dtype"])
                for name, detail in details.items()
            }
            found.append(softmax(next(iter(runner(**inputs).values())))[0])
        return np.array(found)

    return lambda text: int(scores([text])[0].argmax()), scores


def of_rows(logits: Callable[[Any, Any], Any], tokenizer: Any) -> Any:
    """A contestant that maps padded ids and a mask, int64[texts, tokens], to logits."""
    import numpy as np

    def scores(texts: Sequence[str]) -> Any:
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found: list[Any] = [None] * len(texts)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            rows = tokenizer.encode_batch([texts[number] for number in some])
            ids, mask = (np.array([getattr(row, name) for row in rows], "int64") for name in ("ids", "attention_mask"))
            for number, row in zip(some, softmax(np.asarray(logits(ids, mask))), strict=True):
                found[number] = row
        return np.array(found)

    def one(text: str) -> int:
        row = tokenizer.encode(text)
        ids, mask = (np.array([getattr(row, name)], "int64") for name in ("ids", "attention_mask"))
        return int(np.asarray(logits(ids, mask))[0].argmax())

    return one, scores


def fast_tokenizer(folder: Path) -> Any:
    """Hugging Face's tokenizer in Rust, without the wrapper of transformers, which takes longer."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "checkpoint" / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding()
    return tokenizer


def onnx_runtime(name: str) -> Callable[..., Any]:
    """An ONNX file in ONNX Runtime."""

    def load(folder: Path, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options, ["CPUExecutionProvider"])

        def logits(ids: Any, mask: Any) -> Any:
            return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]

        return of_rows(logits, fast_tokenizer(folder))

    return load


def onnx_text(folder: Path, threads: int) -> Any:
    """The int8 ONNX file with the tokenizer of onnxruntime-extensions in the graph, which takes one text."""
    import numpy as np
    import onnxruntime
    from onnxruntime_extensions import get_library_path

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.register_custom_ops_library(get_library_path())
    session = onnxruntime.InferenceSession(str(folder / "text_int8.onnx"), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def logits(text: str) -> Any:
        return session.run(["model_logits"], {name: np.array([text])})[0][0]

    return lambda text: int(logits(text).argmax()), lambda texts: softmax(np.array([logits(text) for text in texts]))


def openvino(file: str) -> Callable[..., Any]:
    """A file in OpenVINO: the ONNX file in float32, or the one that NNCF quantized."""

    def load(folder: Path, threads: int) -> Any:
        import openvino as ov

        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        request = ov.Core().compile_model(str(folder / file), "CPU", settings).create_infer_request()

        def logits(ids: Any, mask: Any) -> Any:
            return request.infer({"input_ids": ids, "attention_mask": mask})["logits"]

        return of_rows(logits, fast_tokenizer(folder))

    return load


def pytorch(is_quantized: bool) -> Callable[..., Any]:
    """The checkpoint in PyTorch, in float32 or with dynamic int8."""

    def load(folder: Path, threads: int) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification

        torch.set_num_threads(threads)
        model = AutoModelForSequenceClassification.from_pretrained(folder / "checkpoint").eval()
        if is_quantized:
            model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)

        def logits(ids: Any, mask: Any) -> Any:
            with torch.inference_mode():
                return model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()

        return of_rows(logits, fast_tokenizer(folder))

    return load


def ctranslate2(folder: Path, threads: int) -> Any:
    """The encoder in CTranslate2, int8, and the head in NumPy."""
    import ctranslate2 as ct
    import numpy as np
    from safetensors.numpy import load_file

    weights = load_file(folder / "checkpoint" / "model.safetensors")
    kernel, bias = weights["classifier.weight"].T, weights["classifier.bias"]
    encoder = ct.Encoder(str(folder / "ctranslate2"), "cpu", compute_type="int8", intra_threads=threads)

    def logits(ids: Any, mask: Any) -> Any:
        lengths = ct.StorageView.from_array(mask.sum(axis=1).astype("int32"))
        output = encoder.forward_batch(ct.StorageView.from_array(ids.astype("int32")), lengths=lengths)
        if output.pooler_output is not None:
            return np.asarray(output.pooler_output) @ kernel + bias
        first = np.asarray(output.last_hidden_state)[:, 0]
        hidden = np.maximum(first @ weights["pre_classifier.weight"].T + weights["pre_classifier.bias"], 0)
        return hidden @ kernel + bias

    return of_rows(logits, fast_tokenizer(folder))


def linear(folder: Path, threads: int) -> Any:
    """TF-IDF and a linear SVM, trained on the same texts at the start: the least that a text can cost."""
    import csv

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    names = sorted({row["label"] for row in rows})
    model = LinearSVC().fit(
        vectorizer.fit_transform([row["text"] for row in rows]), [names.index(row["label"]) for row in rows]
    )

    def scores(texts: Sequence[str]) -> Any:
        return softmax(model.decision_function(vectorizer.transform(texts)).reshape(len(texts), -1))

    return lambda text: int(model.predict(vectorizer.transform([text]))[0]), scores


def softmax(logits: Any) -> Any:
    """Probabilities of rows of logits; rows that are probabilities already stay as they are."""
    import numpy as np

    if np.allclose(logits.sum(axis=1), 1, atol=1e-3) and logits.min() >= 0:
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


CONTESTANTS: dict[str, Callable[..., Any]] = {
    "EdgeDistil int8": edgedistil("int8"),
    "EdgeDistil int4": edgedistil("int4"),
    "EdgeDistil int4, a scale per channel": edgedistil("int4_channel"),
    "EdgeDistil fp32": edgedistil("fp32"),
    "ONNX Runtime, fused, int8": onnx_runtime("fused_int8"),
    "ONNX Runtime, fused, int8, reduce_range": onnx_runtime("fused_int8_reduced"),
    "ONNX Runtime, int8": onnx_runtime("plain_int8"),
    "ONNX Runtime, int8, reduce_range": onnx_runtime("plain_int8_reduced"),
    "ONNX Runtime, fused, fp32": onnx_runtime("fused"),
    "ONNX Runtime, fp32": onnx_runtime("plain"),
    "ONNX Runtime, int8, tokenizer in the graph": onnx_text,
    "OpenVINO, int8": openvino("openvino_int8.xml"),
    "OpenVINO, fp32": openvino("plain.onnx"),
    "CTranslate2, int8": ctranslate2,
    "PyTorch, int8": pytorch(True),
    "PyTorch, fp32": pytorch(False),
    "KerasHub export, 128 tokens": keras_hub,
    "TF-IDF, linear SVM": linear,
}
IN_PROJECT = ("EdgeDistil", "KerasHub")  # run in the project's environment, the others in that of the race


def serve(name: str, folder: Path, threads: int) -> None:
    """Answers requests until the input ends."""
    started = time.perf_counter()
    one, scores = CONTESTANTS[name](folder, threads)
    one("how do i begin")
    reply({"seconds": time.perf_counter() - started, "megabytes": peak()})
    for line in sys.stdin:
        request = json.loads(line)
        if "scores" in request:
            reply({"scores": [list(map(float, row)) for row in scores(request["scores"])]})
            continue
        texts, labels, seconds = request["texts"], [], []
        started = time.perf_counter()
        if request["together"]:
            labels = [max(range(len(row)), key=row.__getitem__) for row in scores(texts)]
            seconds = [time.perf_counter() - started]
        else:
            for text in texts:
                begun = time.perf_counter()
                labels.append(one(text))
                seconds.append(time.perf_counter() - begun)
        reply({"labels": labels, "seconds": seconds, "megabytes": peak()})


def peak() -> float:
    """Largest size of this process so far, in MB; `getrusage` would begin with the parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000


def reply(answer: dict[str, Any]) -> None:
    """Writes a line to the parent; runtimes print to standard output too, so it has another descriptor."""
    ANSWERS.write(json.dumps(answer) + "\n")
    ANSWERS.flush()


if __name__ == "__main__":
    ANSWERS = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
