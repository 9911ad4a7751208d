"""Does the file compute what the Keras classifier computes? Every conversion ends here, and fails here.

The reference is the classifier itself with its own preprocessor; the candidate is the finished file, run by
`edgedistil_runtime`, the same code that runs on the device.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.quantization.plan import Tolerance
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import CLASSIFY_TOKENS, GoldenCase, TokenizerSettings, read_artifact
from edgedistil_runtime.backends.choice import default_backend, encoder_on_cpu
from edgedistil_runtime.errors import ParityError
from edgedistil_runtime.golden_cases import with_both_classes
from edgedistil_runtime.metadata import ArtifactMetadata
from edgedistil_runtime.native_log import native_log_hidden

__all__ = [
    "ParityReport",
    "choose_golden_cases",
    "replay_tolerance",
    "trusted_answers",
    "verify",
]

_BATCH = 16
_GOLDEN_CASES = 8
_TRUSTED_SHARE = 0.9
_LEAST_LOSSY_TOLERANCE = 0.1  # int8 kernels of other processors round a little otherwise

_NEXT_STEPS = {
    "fp32": "fp32 changes nothing but the order of sums, so this is a defect of EdgeDistil; please report it.",
    "fp16": "Use --quantize fp32.",
    "int8": "Use --quantize fp16, or leave some layers float (--layer PATTERN=fp32).",
    "int4": "Give texts to round by (--calibration-data), leave some layers int8 (--layer PATTERN=int8), or use "
    "--quantize int8.",
    "int8-static": "Give more texts to measure ranges on, like those that the model will meet (--calibration-data), "
    "learn the ranges (--quantize int8-qat --train-data), or use --quantize int8.",
    "int8-qat": "Train on more texts, those that the classifier was trained on at best (--train-data), or use "
    "--quantize int8.",
}
_ENCODER_NEXT_STEPS = {
    "gpu": "Use a more exact scheme, up to --quantize fp32, or --target cpu.",
    "edgetpu": "Give more texts to measure ranges on (--calibration-data), learn the ranges (--quantize int8-qat "
    "--train-data), or use --target cpu.",
}
_Part = Literal["model", "encoder"]


class _TooFar(ParityError):
    """What is wrong; `verify` knows what to do about it."""


@dataclass(frozen=True)
class ParityReport:
    """How the file compares with the Keras classifier.

    Attributes:
        texts: how many texts, or pairs of texts, were compared; token ids were equal on every one, the differing ones
            excepted.
        largest_difference: of a probability.
        mean_difference: of all probabilities.
        label_agreement: share of texts with the same label, 0 to 1. A label may only flip where Keras gives the two
            labels probabilities closer to each other than the tolerance.
        differing_texts: where the file's token ids are not KerasHub's; always none for the builtin tokenizer. They
            count in no other attribute but `texts`.
        differences: of each text, in order, the largest difference of a probability; infinite where the token ids or
            the label differ.
    """

    texts: int
    largest_difference: float
    mean_difference: float
    label_agreement: float
    differing_texts: tuple[str, ...] = ()
    differences: tuple[float, ...] = ()

    def worse_of(self, other: "ParityReport") -> "ParityReport":
        """This report, with the larger of the two differences of each text."""
        return replace(self, differences=tuple(map(max, self.differences, other.differences)))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, without the single differences."""
        report = {**asdict(self), "differing_texts": list(self.differing_texts)}
        del report["differences"]
        return report


def trusted_answers(answers: Sequence[GoldenCase], report: ParityReport) -> list[GoldenCase]:
    """Those that the file gives too, less the tenth on which it is furthest off: a replay tells right from wrong."""
    finite = [difference for difference in report.differences if difference < math.inf]
    if not finite:  # every label is a close call, and the plan's tolerance has excused them all
        return [answer for answer in answers if answer.text not in report.differing_texts]
    bound = float(np.quantile(finite, _TRUSTED_SHARE))
    return [answer for answer, difference in zip(answers, report.differences, strict=True) if difference <= bound]


def replay_tolerance(tolerance: Tolerance, report: ParityReport) -> float:
    """How far a replay of trusted answers may be off: what the plan allows, or twice what is seen here where less."""
    finite = [difference for difference in report.differences if difference < math.inf]
    seen = float(np.quantile(finite, _TRUSTED_SHARE)) if finite else tolerance.largest
    return min(tolerance.largest, max(_LEAST_LOSSY_TOLERANCE, 2 * seen))


def choose_golden_cases(answers: Sequence[GoldenCase]) -> tuple[GoldenCase, ...]:
    """A few answers that tell much: the longest and the shortest row of tokens, then one for each label in turn.

    Where there are pairs of texts, the longest row is one of them.
    """
    by_length = sorted(answers, key=lambda answer: (len(answer.token_ids), answer.text_pair is not None))
    chosen = {(answer.text, answer.text_pair): answer for answer in (by_length[:1] + by_length[-1:])}
    by_label: dict[int, GoldenCase] = {}
    for answer in answers:
        by_label.setdefault(_label(np.array(answer.probabilities)), answer)
    for answer in [*by_label.values(), *answers]:
        if len(chosen) >= _GOLDEN_CASES:
            break
        chosen.setdefault((answer.text, answer.text_pair), answer)
    return tuple(chosen.values())


def verify(path: Path, answers: Sequence[GoldenCase], tolerance: Tolerance, *, part: _Part = "model") -> ParityReport:
    """Replays texts through a finished file.

    Args:
        path: an artefact.
        answers: of the Keras classifier.
        tolerance: of the plan.
        part: what to run behind the tokenizer: the model that every CPU runs, or the encoder for an accelerator, here
            on this CPU.

    Raises:
        ParityError: token ids differ where the tokenizer is the builtin one, or on most texts where it is TF-Text's;
            a probability is off by more than the tolerance, or a label flips.
    """
    try:
        return _verified(path, answers, tolerance, part)
    except _TooFar as error:
        metadata = read_artifact(path).metadata
        where = "" if part == "model" else f"The encoder for {metadata.target}: "
        raise ParityError(f"{where}{error} {_next_step(metadata, part)}") from error


def _next_step(metadata: ArtifactMetadata, part: _Part) -> str:
    if part == "encoder":
        return _ENCODER_NEXT_STEPS.get(metadata.target, "Use --target cpu.")
    return _NEXT_STEPS.get(str(metadata.quantization.get("scheme")), "Use a more exact scheme.")


def _verified(path: Path, answers: Sequence[GoldenCase], tolerance: Tolerance, part: _Part) -> ParityReport:
    with native_log_hidden():
        backend = None if part == "model" else encoder_on_cpu(read_artifact(path))
        candidate = TextClassifier(path, verify=False, backend=backend)
        candidate.classify_tokens([answers[0].token_ids])  # the interpreter says what it has to say at its first run
    with candidate:
        equal = [answer for answer in answers if _has_equal_ids(candidate, answer)]
        if 2 * len(equal) < len(answers):
            raise ParityError(
                f"The tokenizer in the file gives KerasHub's token ids on {len(equal)} of {len(answers)} texts alone. "
                "Use the builtin tokenizer (--tokenizer builtin)."
            )
        if part == "model":
            _verify_batch(path, equal, tolerance, candidate.metadata.tokenizer)
        differences: dict[int, NDArray[np.float64]] = {}
        agreeing = set()
        for answer in equal:
            received, expected = _probabilities(candidate, answer), np.array(answer.probabilities)
            differences[id(answer)] = np.abs(received - expected)
            if _check_probabilities(answer, received, tolerance.largest):
                agreeing.add(id(answer))
    report = ParityReport(
        texts=len(answers),
        largest_difference=float(np.max(list(differences.values()))),
        mean_difference=float(np.mean(list(differences.values()))),
        label_agreement=len(agreeing) / len(equal),
        differing_texts=tuple(answer.text for answer in answers if id(answer) not in differences),
        differences=tuple(float(differences[i].max()) if (i := id(a)) in agreeing else math.inf for a in answers),
    )
    _check_means(report, tolerance)
    return report


def _check_means(report: ParityReport, tolerance: Tolerance) -> None:
    if report.mean_difference > tolerance.mean:
        raise _TooFar(
            f"Probabilities differ from those of the Keras classifier by {report.mean_difference:.2g} on average; "
            f"{tolerance.mean:g} is allowed."
        )
    if report.label_agreement < tolerance.agreement:
        raise _TooFar(
            f"The label is that of the Keras classifier on {report.label_agreement:.1%} of the texts; "
            f"{tolerance.agreement:.0%} are due."
        )


def _has_equal_ids(candidate: TextClassifier, answer: GoldenCase) -> bool:
    kind = candidate.metadata.tokenizer.kind
    if kind == "none":
        return True
    token_ids = tuple(candidate.tokenize(answer.text, answer.text_pair))
    if token_ids != answer.token_ids and kind == "builtin":
        raise ParityError(_token_message(answer, token_ids))
    return token_ids == answer.token_ids


def _probabilities(candidate: TextClassifier, answer: GoldenCase) -> NDArray[np.float64]:
    if candidate.metadata.tokenizer.kind == "none":
        [classification] = candidate.classify_tokens([answer.token_ids])
    else:
        classification = candidate.classify(answer.text, answer.text_pair)
    return np.array(list(classification.probabilities.values()))


def _verify_batch(path: Path, answers: Sequence[GoldenCase], tolerance: Tolerance, settings: TokenizerSettings) -> None:
    """Runs all token ids through `classify_tokens` as padded rows: the mask must hide the padding."""
    rows = np.full((len(answers), max(len(answer.token_ids) for answer in answers)), settings.pad_id, np.int32)
    for row, answer in zip(rows, answers, strict=True):
        row[: len(answer.token_ids)] = answer.token_ids
    backend = default_backend(path, tokenizer=settings.kind)
    try:
        if CLASSIFY_TOKENS not in backend.signatures():
            return
        for first in range(0, len(answers), _BATCH):
            outputs = backend.run(CLASSIFY_TOKENS, {"token_ids": rows[first : first + _BATCH]})["probabilities"]
            for answer, received in zip(answers[first : first + _BATCH], outputs, strict=True):
                _check_probabilities(answer, received, tolerance.largest)
    finally:
        backend.close()


def _check_probabilities(answer: GoldenCase, received: NDArray[np.float64], tolerance: float) -> bool:
    """Whether the labels agree; raises where the tolerance does not excuse that they do not."""
    expected = np.array(answer.probabilities)
    difference = float(np.max(np.abs(received - expected)))
    if not difference <= tolerance:  # written so that NaN fails
        raise _TooFar(
            f"The probabilities of {_named(answer)} differ from those of the Keras classifier by {difference:.3g}; "
            f"{tolerance:g} is allowed."
        )
    before, after, classes = _label(expected), _label(received), with_both_classes(expected)
    if before != after and classes[before] - classes[after] > tolerance:
        raise _TooFar(
            f"The label of {_named(answer)} flips from number {before} (Keras: {classes[before]:.3f}) to number "
            f"{after} (Keras: {classes[after]:.3f})."
        )
    return before == after


def _label(probabilities: NDArray[np.float64]) -> int:
    return int(np.argmax(with_both_classes(probabilities)))


def _named(answer: GoldenCase) -> str:
    """The text, or both, for an error."""
    pair = "" if answer.text_pair is None else f" with {answer.text_pair[:80]!r}"
    return f"{answer.text[:80]!r}{pair}"


def _token_message(answer: GoldenCase, received: tuple[int, ...]) -> str:
    return (
        f"The tokenizer in the file gives other token ids than KerasHub's for {_named(answer)}. "
        f"Expected: {list(answer.token_ids[:20])}. Received: {list(received[:20])}. This is a defect of EdgeDistil; "
        "please report it with this message."
    )
