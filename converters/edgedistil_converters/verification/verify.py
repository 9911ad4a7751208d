"""Compares a finished file with the Keras classifier; a conversion fails if token ids, labels or probabilities differ.

The reference is the classifier with its own preprocessor. The candidate is the file, run by `edgedistil_runtime`, the
code that also runs on the device.
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
from edgedistil_runtime.artifact import GoldenCase, TokenizerSettings, read_artifact
from edgedistil_runtime.backends.choice import default_backend, encoder_on_cpu
from edgedistil_runtime.contract import BUILTIN, CLASSIFY_TOKENS, EDGETPU, GPU, NO_TOKENIZER, PROBABILITIES, TOKEN_IDS
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
_LEAST_LOSSY_TOLERANCE = 0.1  # int8 kernels of other processors round slightly differently

_NEXT_STEPS = {
    "fp32": "fp32 only changes the order of sums, so this is a defect of EdgeDistil; please report it.",
    "fp16": "Use the scheme fp32 (`scheme`).",
    "int8": "Use the scheme fp16 (`scheme`), or leave some layers float (`layers` PATTERN=fp32).",
    "int4": "Pass texts for rounding (`calibration_texts`), leave some layers int8 (`layers` PATTERN=int8), or use "
    "the scheme int8 (`scheme`).",
    "int8-static": "Pass more texts like those that the model will classify (`calibration_texts`), learn the ranges "
    "(`scheme` int8-qat with `training`), or use the scheme int8 (`scheme`).",
    "int8-qat": "Train on more texts, at best those that the classifier was trained on (`training`), or use the scheme "
    "int8 (`scheme`).",
}
_ENCODER_NEXT_STEPS = {
    GPU: "Use a more exact scheme, up to fp32 (`scheme`), or the target cpu (`target`).",
    EDGETPU: "Pass more texts to measure ranges on (`calibration_texts`), learn the ranges (`scheme` int8-qat with "
    "`training`), or use the target cpu (`target`).",
}
_Part = Literal["model", "encoder"]


class _OutOfTolerance(ParityError):
    """A difference above the tolerance; `verify` adds the next step to its message."""


@dataclass(frozen=True)
class ParityReport:
    """Differences between a file and the Keras classifier.

    Attributes:
        texts: Number of compared texts, or pairs of texts. Token ids were equal on all except `differing_texts`.
        largest_difference: Largest absolute difference of a probability.
        mean_difference: Mean absolute difference over all probabilities.
        label_agreement: Share of texts with the same label, 0 to 1. A label may differ only if the probabilities that
            Keras gives the two labels differ by less than the tolerance.
        differing_texts: Texts with other token ids than KerasHub's; always empty for the builtin tokenizer. They are
            counted only in `texts`.
        differences: Largest difference of a probability for each text, in order; infinite if the token ids or the label
            differ.

    Example:
        >>> report = ParityReport(2, 0.02, 0.01, 1.0, differences=(0.02, 0.01))
        >>> report.worse_of(ParityReport(2, 0.03, 0.02, 1.0, differences=(0.01, 0.03))).differences
        (0.02, 0.03)
    """

    texts: int
    largest_difference: float
    mean_difference: float
    label_agreement: float
    differing_texts: tuple[str, ...] = ()
    differences: tuple[float, ...] = ()

    def worse_of(self, other: "ParityReport") -> "ParityReport":
        """Returns this report with the larger of both reports' differences for each text."""
        return replace(self, differences=tuple(map(max, self.differences, other.differences)))

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data, without the differences of each text."""
        report = {**asdict(self), "differing_texts": list(self.differing_texts)}
        del report["differences"]
        return report


def trusted_answers(answers: Sequence[GoldenCase], report: ParityReport) -> list[GoldenCase]:
    """Returns the answers that can be golden cases: same label in the file, without the 10 % that differ most.

    Args:
        answers: Outputs of the Keras classifier.
        report: Comparison of a file with these answers.

    Example:
        >>> answers = [GoldenCase(text, (2, 5, 3), (0.7, 0.3)) for text in ("on", "off")]
        >>> report = ParityReport(2, 0.3, 0.1, 0.5, differences=(0.01, math.inf))  # "off" has another label
        >>> [answer.text for answer in trusted_answers(answers, report)]
        ['on']
    """
    finite = [difference for difference in report.differences if difference < math.inf]
    if not finite:  # every label differs, but within the plan's tolerance
        return [answer for answer in answers if answer.text not in report.differing_texts]
    bound = float(np.quantile(finite, _TRUSTED_SHARE))
    return [answer for answer, difference in zip(answers, report.differences, strict=True) if difference <= bound]


def replay_tolerance(tolerance: Tolerance, report: ParityReport) -> float:
    """Returns the tolerance for replays of trusted answers on other machines.

    It is twice the difference that 90 % of the texts keep here, but at least 0.1 and at most the plan's tolerance.

    Example:
        >>> report = ParityReport(2, 0.01, 0.01, 1.0, differences=(0.01, 0.01))
        >>> replay_tolerance(Tolerance(0.25, 0.02, 0.95), report), replay_tolerance(Tolerance(0.01, 0.01, 1.0), report)
        (0.1, 0.01)
    """
    finite = [difference for difference in report.differences if difference < math.inf]
    seen = float(np.quantile(finite, _TRUSTED_SHARE)) if finite else tolerance.largest
    return min(tolerance.largest, max(_LEAST_LOSSY_TOLERANCE, 2 * seen))


def choose_golden_cases(answers: Sequence[GoldenCase]) -> tuple[GoldenCase, ...]:
    """Returns up to 8 varied answers: the shortest and the longest row of token ids, then one for each label.

    If there are pairs of texts, the longest row is one of them.

    Example:
        >>> texts = ("on", "turn it on", "turn the lights on")
        >>> answers = [GoldenCase(text, tuple(range(2 + len(text.split()))), (0.7, 0.3)) for text in texts]
        >>> [case.text for case in choose_golden_cases(answers)]
        ['on', 'turn the lights on', 'turn it on']
    """
    # Pairs sort after single texts of the same length.
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
    """Runs texts through a finished file and compares the results.

    Args:
        path: An artifact.
        answers: Outputs of the Keras classifier.
        tolerance: Tolerance of the plan.
        part: The part that runs after the tokenizer: `model`, which every CPU runs, or `encoder`, the one for an
            accelerator, which is run on this CPU.

    Raises:
        ParityError: Token ids differ (with the builtin tokenizer on any text, with TF-Text's on most), a probability
            differs by more than the tolerance, or a label flips.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.verification.keras_answers import answer_with_keras
        >>> answers = answer_with_keras(load_classifier("intents"), ["turn the lights on", "is it raining ?"])
        >>> verify(Path("intents.tflite"), answers, Tolerance(0.25, 0.1, 0.5)).label_agreement
        1.0
    """
    try:
        return _verified(path, answers, tolerance, part)
    except _OutOfTolerance as error:
        metadata = read_artifact(path).metadata
        where = "" if part == "model" else f"The encoder for {metadata.target}: "
        raise ParityError(f"{where}{error} {_next_step(metadata, part)}") from error


def _next_step(metadata: ArtifactMetadata, part: _Part) -> str:
    if part == "encoder":
        return _ENCODER_NEXT_STEPS.get(metadata.target, "Use the target cpu (`target`).")
    return _NEXT_STEPS.get(str(metadata.quantization.get("scheme")), "Use a more exact scheme.")


def _verified(path: Path, answers: Sequence[GoldenCase], tolerance: Tolerance, part: _Part) -> ParityReport:
    with native_log_hidden():
        backend = None if part == "model" else encoder_on_cpu(read_artifact(path))
        candidate = TextClassifier(path, verify=False, backend=backend)
        candidate.classify_tokens([answers[0].token_ids])  # the interpreter logs during its first run
    with candidate:
        equal = [answer for answer in answers if _has_equal_ids(candidate, answer)]
        if 2 * len(equal) < len(answers):
            raise ParityError(
                f"The tokenizer in the file gives KerasHub's token ids on only {len(equal)} of {len(answers)} texts. "
                "Use the builtin one (`tokenizer`)."
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
        raise _OutOfTolerance(
            f"Probabilities differ from those of the Keras classifier by {report.mean_difference:.2g} on average; "
            f"{tolerance.mean:g} is allowed."
        )
    if report.label_agreement < tolerance.agreement:
        raise _OutOfTolerance(
            f"The label is that of the Keras classifier on {report.label_agreement:.1%} of the texts; "
            f"{tolerance.agreement:.0%} are required."
        )


def _has_equal_ids(candidate: TextClassifier, answer: GoldenCase) -> bool:
    kind = candidate.metadata.tokenizer.kind
    if kind == NO_TOKENIZER:
        return True
    token_ids = tuple(candidate.tokenize(answer.text, answer.text_pair))
    if token_ids != answer.token_ids and kind == BUILTIN:
        raise ParityError(_token_message(answer, token_ids))
    return token_ids == answer.token_ids


def _probabilities(candidate: TextClassifier, answer: GoldenCase) -> NDArray[np.float64]:
    if candidate.metadata.tokenizer.kind == NO_TOKENIZER:
        [classification] = candidate.classify_tokens([answer.token_ids])
    else:
        classification = candidate.classify(answer.text, answer.text_pair)
    return np.array(list(classification.probabilities.values()))


def _verify_batch(path: Path, answers: Sequence[GoldenCase], tolerance: Tolerance, settings: TokenizerSettings) -> None:
    """Compares the results of `classify_tokens` on padded rows, which differ if the mask does not hide the padding."""
    rows = np.full((len(answers), max(len(answer.token_ids) for answer in answers)), settings.pad_id, np.int32)
    for row, answer in zip(rows, answers, strict=True):
        row[: len(answer.token_ids)] = answer.token_ids
    backend = default_backend(path, tokenizer=settings.kind)
    try:
        if CLASSIFY_TOKENS not in backend.signatures():
            return
        for first in range(0, len(answers), _BATCH):
            outputs = backend.run(CLASSIFY_TOKENS, {TOKEN_IDS: rows[first : first + _BATCH]})[PROBABILITIES]
            for answer, received in zip(answers[first : first + _BATCH], outputs, strict=True):
                _check_probabilities(answer, received, tolerance.largest)
    finally:
        backend.close()


def _check_probabilities(answer: GoldenCase, received: NDArray[np.float64], tolerance: float) -> bool:
    """True if the labels agree; raises if a probability or the label differs by more than the tolerance."""
    expected = np.array(answer.probabilities)
    difference = float(np.max(np.abs(received - expected)))
    if not difference <= tolerance:  # in this form, NaN fails too
        raise _OutOfTolerance(
            f"The probabilities of {_named(answer)} differ from those of the Keras classifier by {difference:.3g}; "
            f"{tolerance:g} is allowed."
        )
    before, after, classes = _label(expected), _label(received), with_both_classes(expected)
    if before != after and classes[before] - classes[after] > tolerance:
        raise _OutOfTolerance(
            f"The label of {_named(answer)} flips from number {before} (Keras: {classes[before]:.3f}) to number "
            f"{after} (Keras: {classes[after]:.3f})."
        )
    return before == after


def _label(probabilities: NDArray[np.float64]) -> int:
    return int(np.argmax(with_both_classes(probabilities)))


def _named(answer: GoldenCase) -> str:
    """The text or the pair of texts of an answer, for an error message."""
    pair = "" if answer.text_pair is None else f" with {answer.text_pair[:80]!r}"
    return f"{answer.text[:80]!r}{pair}"


def _token_message(answer: GoldenCase, received: tuple[int, ...]) -> str:
    return (
        f"The tokenizer in the file gives other token ids than KerasHub's for {_named(answer)}. "
        f"Expected: {list(answer.token_ids[:20])}. Received: {list(received[:20])}. This is a defect of EdgeDistil; "
        "please report it with this message."
    )
