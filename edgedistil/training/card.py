"""The model card of a trained classifier: README.md with front matter, as Hugging Face's hub reads it.

The keys of the front matter are those of https://huggingface.co/docs/hub/model-cards.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CARD_FILE", "model_card"]

CARD_FILE: Final = "README.md"
_MOST_LABELS = 200
# Metric in training.json -> type and name of the metric in the front matter.
_CARD_METRICS = {
    "accuracy": ("accuracy", ""),
    "micro_f1": ("f1", "micro F1"),
    "macro_f1": ("f1", "macro F1"),
    "subset_accuracy": ("accuracy", "texts with exactly the right labels"),
}
_TITLES = {
    "accuracy": "accuracy",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "subset_accuracy": "equal label sets",
    "loss": "loss",
}


def model_card(record: Mapping[str, Any], *, name: str, attribution: str = "") -> str:
    """Writes the card from what `training.json` holds; what is not known there, such as a licence, is left out.

    Args:
        record: Content of `training.json`.
        name: Name of the classifier.
        attribution: A page in Markdown about the encoder that it was trained from, which becomes a section.

    Example:
        >>> record = {
        ...     "origin": {"preset": "all_minilm_l6_v2_en"}, "labels": ["no", "yes"], "parameters": 9, "best_epoch": 2,
        ...     "metrics": {"test": {"accuracy": 0.5, "macro_f1": 0.4, "loss": 1.0, "rows": 8}},
        ...     "data": {"training": {"rows": 32, "file": "train.csv"}}, "settings": {}, "history": [],
        ... }
        >>> print(model_card(record, name="intents").splitlines()[2])
        pipeline_tag: text-classification
    """
    origin = record["origin"]
    front = ["library_name: keras-hub", "pipeline_tag: text-classification", "tags:", "- edgedistil"]
    base = str(origin.get("preset", ""))
    if base.startswith("hf://"):
        front.append(f"base_model: {base.removeprefix('hf://')}")
    front += _model_index(record["metrics"], name)
    start = f"fine-tuned from `{base}`" if base else "trained from scratch"
    labels = record["labels"]
    shown = ", ".join(f"`{label}`" for label in labels[:_MOST_LABELS])
    is_multi_label = "thresholds" in record
    kind = "labels, of which a text has any number," if is_multi_label else "classes"
    more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
    lines = [
        "---",
        *front,
        "---",
        "",
        f"# {name}",
        "",
        f"A text classifier with {len(labels)} {kind} and {record['parameters']:,} parameters, {start}.",
        "",
        f"{'Labels' if is_multi_label else 'Classes'}: {shown}{more}",
        "",
        *_table(record["metrics"]),
        *_data(record["data"]),
        *_teacher(record),
        "",
        "```",
        f"edgedistil convert --preset {name} -o {name}.tflite",
        "```",
        "",
        *(f"#{line}" if line.startswith("#") else line for line in attribution.splitlines()),
        *([""] if attribution else []),
    ]
    return "\n".join(lines)


def _model_index(metrics: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    if "test" not in metrics:
        return []
    found = metrics["test"]
    return [
        "model-index:",
        f"- name: {json.dumps(name, ensure_ascii=False)}",
        "  results:",
        "  - task:",
        "      type: text-classification",
        "    dataset:",
        "      name: test data",
        "      type: text",
        "    metrics:",
        *(line for key in _CARD_METRICS if key in found for line in _metric(key, found[key])),
    ]


def _metric(key: str, value: float) -> list[str]:
    kind, title = _CARD_METRICS[key]
    return [f"    - type: {kind}", *([f"      name: {title}"] if title else []), f"      value: {value}"]


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not metrics:
        return []
    present = next(iter(metrics.values()))
    columns = {key: title for key, title in _TITLES.items() if key in present}
    rows = [
        f"| {part} | {found['rows']:,} | " + " | ".join(f"{found[key]:.4f}" for key in columns) + " |"
        for part, found in metrics.items()
    ]
    head = ["data", "texts", *columns.values()]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows, ""]


def _data(data: Mapping[str, Mapping[str, Any]]) -> list[str]:
    parts = [f"{part}: {found['rows']:,} texts" for part, found in data.items()]
    return ["Data: " + "; ".join(parts) + "."]


def _teacher(record: Mapping[str, Any]) -> list[str]:
    if "teacher" not in record:
        return []
    teacher, settings = record["teacher"], record["settings"]
    texts = ", ".join(f"{count:,} {part}" for part, count in teacher["texts"].items() if count)
    kind = "mean square of the logits' differences"
    if settings["distillation_loss"] == "kl":
        kind = f"divergence at temperature {settings['temperature']:g}"
    weight = settings.get("vector_loss", 0)
    vectors = f" Its vectors were learned too, with a weight of {weight:g}." if weight else ""
    weight = settings.get("hidden_loss", 0)
    vectors += f" Its inner layers were learned too, with a weight of {weight:g}." if weight else ""
    return [
        "",
        f"Distilled from `{teacher['name']}`, which answered these texts: {texts}. "
        f"Its share of the loss is {settings['teacher_share']:g} ({kind})." + vectors,
    ]
