"""The model card of a trained classifier: README.md with front matter, as Hugging Face's hub reads it.

The keys of the front matter are those of https://huggingface.co/docs/hub/model-cards.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CARD_FILE", "model_card"]

CARD_FILE: Final = "README.md"
_MOST_LABELS = 200


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
    more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
    lines = [
        "---",
        *front,
        "---",
        "",
        f"# {name}",
        "",
        f"A text classifier with {len(labels)} classes and {record['parameters']:,} parameters, {start}.",
        "",
        f"Classes: {shown}{more}",
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
        "    - type: accuracy",
        f"      value: {found['accuracy']}",
        "    - type: f1",
        "      name: macro F1",
        f"      value: {found['macro_f1']}",
    ]


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not metrics:
        return []
    rows = [
        f"| {part} | {found['rows']:,} | {found['accuracy']:.4f} | {found['macro_f1']:.4f} | {found['loss']:.4f} |"
        for part, found in metrics.items()
    ]
    return ["| data | texts | accuracy | macro-F1 | loss |", "|---|---|---|---|---|", *rows, ""]


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
    return [
        "",
        f"Distilled from `{teacher['name']}`, which answered these texts: {texts}. "
        f"Its share of the loss is {settings['teacher_share']:g} ({kind})." + vectors,
    ]
