"""`edgedistil inspect`: shows the contents of a .tflite file."""

from pathlib import Path
from typing import Any

import click

from edgedistil.cli.data_options import public_key_option
from edgedistil.cli.output import describe_unknown_rule, print_json, stdout_console
from edgedistil_runtime.contract import SCORE_CALIBRATION, UNKNOWN_TEXTS

# What torq-compile says of an encoder, and the result of its simulation.
_OF_A_CORALBOARD = ("chip", "on_css", "cycles", "estimated_milliseconds", "simulated")
_SECTIONS = (
    "thresholds",
    "quantization",
    "tokenizer",
    "architecture",
    "preparation",
    "parity",
    "encoder",
    "matmul_weights",
    "integer_ops",
    "constant_bytes",
    "versions",
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@public_key_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def inspect(model: Path, public_key: Path | None, as_json: bool) -> None:
    """Show labels, quantization, signatures, ops and provenance of a .tflite file.

    \b
    edgedistil inspect smart_home.tflite
    """  # noqa: D301  # \b is for click
    from edgedistil_converters.tflite.structure import read_structure
    from edgedistil_runtime.artifact import read_artifact

    artifact = read_artifact(model, public_key=public_key)
    structure = read_structure(artifact.flatbuffer())
    metadata = artifact.metadata
    facts: dict[str, Any] = {
        "model": model.name,
        "name": metadata.name,
        "bytes": artifact.size,
        "signed_with": artifact.signature
        and {"fingerprint": artifact.signature.fingerprint, "is_checked": public_key is not None},
        "labels": list(metadata.labels),
        "problem_type": metadata.problem_type,
        "thresholds": dict(zip(metadata.labels, metadata.thresholds, strict=bool(metadata.thresholds))),
        "quantization": dict(metadata.quantization),
        "target": metadata.target,
        "tokenizer": {
            "kind": metadata.tokenizer.kind,
            "sequence_length": metadata.tokenizer.sequence_length,
            "vocabulary_size": metadata.tokenizer.vocabulary_size,
            "lowercase": metadata.tokenizer.lowercase,
            "strip_accents": metadata.tokenizer.strip_accents,
            **_rules(metadata.tokenizer),
        },
        "architecture": dict(metadata.model),
        "parity": dict(metadata.parity),
        "encoder": _encoder(metadata.encoder) if metadata.encoder else {},
        "golden_cases": len(metadata.golden_cases),
        "oldest_runtime": metadata.oldest_runtime,
        "versions": dict(metadata.versions),
        "preparation": dict(metadata.preparation),
        "matmul_weights": structure.matmul_weights,
        "matmuls": {site: {"weights": w, "outputs": o} for site, (w, o) in structure.matmuls.items()},
        "integer_ops": structure.integer_ops,
        "constant_bytes": structure.constant_bytes,
        "signatures": {
            name: {
                "inputs": [_tensor(t) for t in inputs],
                "outputs": [_tensor(t) for t in outputs],
            }
            for name, (inputs, outputs) in structure.signatures.items()
        },
        "ops": [{"op": op, "version": version, "count": count} for (op, version), count in structure.ops.items()],
    }
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _rules(tokenizer: Any) -> dict[str, Any]:
    """The library whose token ids a file gives, and the options that only Hugging Face's tokenizers have."""
    if tokenizer.rules == "keras_hub":
        return {"rules": tokenizer.rules}
    return {
        "rules": tokenizer.rules,
        "clean_text": tokenizer.clean_text,
        "handle_chinese_chars": tokenizer.split_on_cjk,
        "max_input_chars_per_word": tokenizer.max_input_chars_per_word,
        "added_tokens": [token.content for token in tokenizer.added_tokens],
    }


def _encoder(part: Any) -> dict[str, Any]:
    """The part for an accelerator: its inputs, its agreement with Keras, and the ops that run on the accelerator."""
    mapping = part.mapping
    return {
        "lengths": list(part.lengths),
        "compiled": part.is_compiled,
        "label_agreement": part.parity.get("label_agreement"),
        "largest_difference": part.parity.get("largest_difference"),
        "mapping": {"predicted": "a prediction"}.get(mapping.get("source", ""), mapping.get("source", "")),
        "mapped_ops": mapping.get("mapped", ""),
        "ops_on_cpu": mapping.get("on_cpu", ""),
        "reasons": dict(mapping.get("reasons", {})),
        **{key: mapping[key] for key in _OF_A_CORALBOARD if key in mapping},
    }


def _tensor(tensor: Any) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "default_shape": list(tensor.default_shape),
    }


def _print(facts: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("model", Text(f"{facts['name']}  ({facts['bytes'] / 1e6:.2f} MB)"))
    if facts["signed_with"]:
        key, is_checked = facts["signed_with"]["fingerprint"], facts["signed_with"]["is_checked"]
        table.add_row("signed with", f"{key}, {'checked' if is_checked else 'not checked: no --public-key'}")
    table.add_row("labels", Text(", ".join(facts["labels"])))
    for key in _SECTIONS:
        if key == "preparation" and SCORE_CALIBRATION in facts[key]:
            facts[key] = dict(facts[key])
            table.add_row("score calibration", Text(_score_calibration(facts[key].pop(SCORE_CALIBRATION))))
        if key == "preparation" and UNKNOWN_TEXTS in facts[key]:
            facts[key] = dict(facts[key])
            table.add_row("unknown texts", Text(describe_unknown_rule(facts[key].pop(UNKNOWN_TEXTS))))
        if facts[key]:
            values = (f"{name} {_number(value)}" for name, value in facts[key].items() if value not in ("", {}, []))
            table.add_row(key.replace("_", " "), Text(", ".join(values)))
    table.add_row("target", f"{facts['target']}, TFLite {facts['oldest_runtime']} or newer")
    for name, signature in facts["signatures"].items():
        inputs, outputs = (", ".join(map(_tensor_text, signature[side])) for side in ("inputs", "outputs"))
        table.add_row(Text(name), Text(f"{inputs} -> {outputs}"))
    table.add_row("ops", Text(", ".join(f"{op['op']} v{op['version']} x{op['count']}" for op in facts["ops"])))
    console.print(table)


def _score_calibration(record: dict[str, Any]) -> str:
    """The temperature that the logits are divided by, and its effect in Keras on the texts that it was fitted on."""
    effects = (
        f"{name.replace('_', ' ')} {value:.3g} before, {record['after'][name]:.3g} after"
        for name, value in record["before"].items()
    )
    fitted = f"temperature {record['temperature']:.3g}, fitted on {record['texts']:,} texts ({record['source']})"
    return f"{fitted}; in Keras: {', '.join(effects)}"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _tensor_text(tensor: dict[str, Any]) -> str:
    shape = ", ".join("?" if size < 0 else str(size) for size in tensor["shape"])
    return f"{tensor['name']} {tensor['dtype']}[{shape}]"
