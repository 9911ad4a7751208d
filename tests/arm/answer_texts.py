"""Answers texts with some models, on whatever machine runs it: an ARM one under QEMU, or this one.

    build/arm64/bin/python tests/arm/answer_texts.py a.tflite b.tflite < texts.json > answers.json

In: a JSON list of texts. Out: a JSON object with the machine's name and, for each model's path, a list of
[token ids, label, probabilities] in the order of the texts.
"""

import json
import platform
import sys

from edgedistil_runtime import TextClassifier


def main(models: list[str]) -> None:
    """Reads texts, writes answers."""
    texts = json.load(sys.stdin)
    answers = {model: answer_texts(model, texts) for model in models}
    json.dump({"machine": platform.machine(), "answers": answers}, sys.stdout)


def answer_texts(model: str, texts: list[str]) -> list[list[object]]:
    """Loading replays the golden cases too, and raises where they differ by more than the file allows."""
    with TextClassifier(model, num_threads=1) as classifier:
        return [[classifier.tokenize(text), *_classified(classifier, text)] for text in texts]


def _classified(classifier: TextClassifier, text: str) -> tuple[str, list[float]]:
    answer = classifier.classify(text)
    return answer.label, list(answer.probabilities.values())


if __name__ == "__main__":
    main(sys.argv[1:])
