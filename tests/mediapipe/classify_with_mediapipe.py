"""Classifies texts with MediaPipe's TextClassifier, in the environment that has MediaPipe and nothing of EdgeDistil.

    .venv-mediapipe/bin/python tests/mediapipe/classify_with_mediapipe.py model.tflite < texts.json > answers.json

In: a JSON list of texts. Out: a JSON object with, for each text, a list of {"label", "index", "score"} in the order of
scores, and the median milliseconds of a text; or with the error that MediaPipe raised on loading the model.
"""

import json
import statistics
import sys
import time

from mediapipe.tasks.python.text import TextClassifier


def main() -> None:
    """Reads texts, writes answers."""
    texts = json.load(sys.stdin)
    try:
        classifier = TextClassifier.create_from_model_path(sys.argv[1])
    except (RuntimeError, ValueError) as error:
        json.dump({"error": str(error)}, sys.stdout)
        return
    answers, milliseconds = [], []
    with classifier:
        for text in texts:
            started = time.perf_counter()
            result = classifier.classify(text)
            milliseconds.append(1000 * (time.perf_counter() - started))
            categories = result.classifications[0].categories
            answers.append([{"label": c.category_name, "index": c.index, "score": c.score} for c in categories])
    median = statistics.median(milliseconds) if milliseconds else None
    json.dump({"answers": answers, "milliseconds": median}, sys.stdout)


if __name__ == "__main__":
    main()
