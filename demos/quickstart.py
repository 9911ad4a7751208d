"""Three sentences through the runtime alone: what a device needs, what it answers, and how long that takes.

    python demos/quickstart.py smart_home.tflite

Run it in an environment that has `edgedistil-runtime` and nothing of TensorFlow: `make demo` does.
"""

import statistics
import sys
import time
from pathlib import Path

SENTENCES = ("turn on the light in the kitchen", "is it going to rain tomorrow?", "Wake me up at half past six, please")
RUNS = 50


def main(model: str) -> None:
    """Classifies the sentences and prints what it cost."""
    started = time.perf_counter()
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.native_log import native_log_hidden

    with native_log_hidden():
        classifier = TextClassifier(model)
    with classifier:
        first = classifier.classify(SENTENCES[0])
        to_first_label = time.perf_counter() - started
        info, parity = classifier.runtime_info, classifier.metadata.parity
        print(f"\n{model}: {Path(model).stat().st_size / 1e6:.2f} MB, {len(classifier.labels)} classes")
        agreement = f"token ids equal, labels agree {parity['label_agreement']:.1%}"
        print(f"parity with Keras: {parity['texts']} texts, {agreement}")
        print(f"golden cases replayed here: {info.golden_cases}, off by {info.largest_difference:.2g} at most")
        print(f"runs on {info.backend} {info.version}; import to first label {to_first_label:.2f} s ({first.label})\n")
        for sentence in SENTENCES:
            answer = classifier.classify(sentence)
            print(f"{answer.label:<18} {answer.score:.3f}  {_median_ms(classifier, sentence):.2f} ms  {sentence}")
    foreign = {"tensorflow", "keras", "keras_hub", "tokenizers", "transformers"} & set(sys.modules)
    print(f"\nheavy packages imported: {', '.join(sorted(foreign)) or 'none'}")


def _median_ms(classifier: object, sentence: str) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        classifier.classify(sentence)  # type: ignore[attr-defined]
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    main(*sys.argv[1:])
