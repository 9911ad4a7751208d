"""Compares a finished file with the Keras classifier; a conversion fails if token ids or answers differ too much.

Token ids must be equal and probabilities finite on every text. A file without rounding (fp32) must keep a tolerance on
every text; any other is judged by `Rules`, on texts like those that the model will classify.

The reference is the classifier with its own preprocessor. The candidate is the file, run by `edgedistil_runtime`, the
code that also runs on the device.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.quantization.schemes import Rules, Tolerance
from edgedistil_converters.verification.fixed_shapes import check_fixed, run_fixed
from edgedistil_converters.verification.judge import describe_flips, violations
from edgedistil_converters.verification.measures import Comparison, compare
from edgedistil_converters.verification.samples import BUILTIN_TEXTS, ENOUGH_SAMPLES, Samples
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import GoldenCase, TokenizerSettings, read_artifact
from edgedistil_runtime.backends.choice import default_backend, encoder_on_cpu
from edgedistil_runtime.contract import (
    BUILTIN,
    CLASSIFY_TOKENS,
    CORALBOARD,
    EDGETPU,
    GPU,
    NO_TOKENIZER,
    PROBABILITIES,
    TOKEN_IDS,
)
from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import ParityError
from edgedistil_runtime.metadata import ArtifactMetadata
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["ParityReport", "verify"]

_BATCH = 16

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
    **dict.fromkeys(
        (EDGETPU, CORALBOARD),
        "Pass more texts to measure ranges on (`calibration_texts`), learn the ranges (`scheme` int8-qat with "
        "`training`), or use the target cpu (`target`).",
    ),
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
        label_agreement: Share of texts with the same label, 0 to 1.
        differing_texts: Texts with other token ids than KerasHub's; always empty for the builtin tokenizer. They are
            counted only in `texts`.
        differences: Largest difference of a probability for each text, in order; infinite if the token ids or the label
            differ.
        fixed_differences: Fixed length -> largest difference of a probability from the signatures of open shapes.
        judged_on: Origin of the texts that the file was judged on, such as `samples of the preset`.
        measures: Comparison on these texts.

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
    judged_on: str = BUILTIN_TEXTS
    measures: Comparison | None = None
    fixed_differences: Mapping[int, float] = field(default_factory=dict)

    def worse_of(self, other: "ParityReport") -> "ParityReport":
        """Returns this report with the larger of both reports' differences for each text."""
        return replace(self, differences=tuple(map(max, self.differences, other.differences)))

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data, without the differences of each text."""
        report = {**asdict(self), "differing_texts": list(self.differing_texts)}
        for key in ("differences", "fixed_differences"):
            del report[key]
        return {**report, "measures": self.measures.to_dict() if self.measures else None}


def verify(
    path: Path,
    answers: Sequence[GoldenCase],
    tolerance: Tolerance,
    *,
    rules: Rules | None = None,
    samples: Samples | None = None,
    part: _Part = "model",
) -> ParityReport:
    """Runs texts through a finished file and compares the results.

    Args:
        path: An artifact.
        answers: Outputs of the Keras classifier.
        tolerance: Tolerance of the plan, which every text must keep if there are no rules.
        rules: Rules of the plan, which decide instead.
        samples: The texts of `answers` that are like those that the model will classify, with their classes; none if
            all are built-in.
        part: The part that runs after the tokenizer: `model`, which every CPU runs, or `encoder`, the one for an
            accelerator, which is run on this CPU.

    Raises:
        ParityError: Token ids differ (with the builtin tokenizer on any text, with TF-Text's on most), a probability is
            not finite, or the file breaks the rules; without rules, a probability or a label differs by more than the
            tolerance.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.verification.keras_answers import answer_with_keras
        >>> answers = answer_with_keras(load_classifier("intents"), ["turn the lights on", "is it raining ?"])
        >>> verify(Path("intents.tflite"), answers, Tolerance(0.25, 0.1, 0.5)).label_agreement
        1.0
        >>> round(verify(Path("intents.tflite"), answers, Tolerance(0.25, 0.1), rules=Rules()).measures.logit_error, 1)
        0.0
    """
    try:
        received, batched = _run(path, answers, part)
        decision = read_artifact(path).metadata.decision
        report = _report(answers, received, decision)
        if rules is None:
            for probabilities in (batched, received):
                _check_each(answers, probabilities, tolerance, decision)
            _check_means(report, tolerance)
        judged = _Judged.choose(answers, received, samples or Samples(), decision)
        measures = judged.compare(received)
        if rules is not None:
            labels = read_artifact(path).metadata.labels
            judged.check(measures, rules, labels)
            judged.check(judged.compare({**received, **batched}), rules, labels)
        found = dict[int, float]()
        for run in run_fixed(path, answers, list(received)) if part == "model" else ():
            # What pads a row is what Keras does; where the file has no other rows, the rules are all there is.
            largest = check_fixed(run, {**received, **batched}, answers, tolerance.largest)
            found[run.length] = max(largest, found.get(run.length, 0.0))
            if rules is not None:
                judged.check(judged.compare({**received, **run.received}), rules, labels)
            else:
                _check_each(answers, run.received, tolerance, decision)
        return replace(report, judged_on=judged.source, measures=measures, fixed_differences=found)
    except _OutOfTolerance as error:
        metadata = read_artifact(path).metadata
        where = "" if part == "model" else f"The encoder for {metadata.target}: "
        raise ParityError(f"{where}{error} {_next_step(metadata, part)}") from error


def _next_step(metadata: ArtifactMetadata, part: _Part) -> str:
    if part == "encoder":
        return _ENCODER_NEXT_STEPS.get(metadata.target, "Use the target cpu (`target`).")
    return _NEXT_STEPS.get(str(metadata.quantization.get("scheme")), "Use a more exact scheme.")


# Number of an answer -> the file's probabilities, float64[outputs]; only answers with equal token ids are run.
_Received = dict[int, NDArray[np.float64]]


def _run(path: Path, answers: Sequence[GoldenCase], part: _Part) -> tuple[_Received, _Received]:
    """Returns the file's probabilities text by text, and in padded batches if it takes these."""
    with native_log_hidden():
        backend = None if part == "model" else encoder_on_cpu(read_artifact(path))
        candidate = TextClassifier(path, verify=False, backend=backend)
        candidate.classify_tokens([answers[0].token_ids])  # the interpreter logs during its first run
    with candidate:
        equal = [number for number, answer in enumerate(answers) if _has_equal_ids(candidate, answer)]
        if 2 * len(equal) < len(answers):
            raise ParityError(
                f"The tokenizer in the file gives KerasHub's token ids on only {len(equal)} of {len(answers)} texts. "
                "Use the builtin one (`tokenizer`)."
            )
        received = {number: _probabilities(candidate, answers[number]) for number in equal}
        batched = _run_batches(path, answers, equal, candidate.metadata.tokenizer) if part == "model" else {}
    return received, batched


def _report(answers: Sequence[GoldenCase], received: _Received, decision: Decision) -> ParityReport:
    differences = {
        number: np.abs(found - np.array(answers[number].probabilities)) for number, found in received.items()
    }
    agreeing = {number for number, found in received.items() if decision.is_same(found, _expected(answers[number]))}
    return ParityReport(
        texts=len(answers),
        largest_difference=float(np.max(list(differences.values()))),
        mean_difference=float(np.mean(list(differences.values()))),
        label_agreement=len(agreeing) / len(received),
        differing_texts=tuple(answer.text for number, answer in enumerate(answers) if number not in received),
        differences=tuple(
            float(differences[number].max()) if number in agreeing else math.inf for number in range(len(answers))
        ),
    )


@dataclass(frozen=True)
class _Judged:
    """The answers that a file is judged on."""

    answers: Mapping[int, GoldenCase]
    class_numbers: Sequence[int | None]
    source: str
    are_samples: bool
    decision: Decision

    @classmethod
    def choose(
        cls, answers: Sequence[GoldenCase], received: _Received, samples: Samples, decision: Decision
    ) -> "_Judged":
        """The samples, or all answers if these are too few."""
        number_of, source = samples.number_of, samples.source
        chosen = [n for n in received if answers[n].text in number_of and answers[n].text_pair is None]
        are_samples = len(chosen) >= ENOUGH_SAMPLES
        if not are_samples:
            source = f"{source} and {BUILTIN_TEXTS}" if chosen else BUILTIN_TEXTS
        classes = dict.fromkeys(received) | {number: number_of[answers[number].text] for number in chosen}
        judged = chosen if are_samples else list(received)
        return cls({n: answers[n] for n in judged}, [classes[n] for n in judged], source, are_samples, decision)

    def compare(self, received: _Received) -> Comparison:
        expected = [_expected(answer) for answer in self.answers.values()]
        return compare(expected, [received[number] for number in self.answers], self.class_numbers, self.decision)

    def check(self, measures: Comparison, rules: Rules, labels: Sequence[str]) -> None:
        found = violations(measures, rules, labels, are_samples=self.are_samples)
        if found:
            flips = describe_flips(measures, [answer.text for answer in self.answers.values()], labels)
            raise _OutOfTolerance(
                f"The file does not keep the answers of the Keras classifier on {measures.texts} texts "
                f"({self.source}): {'; '.join(found)}. {flips}".rstrip()
            )


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
    probabilities = np.array(list(classification.probabilities.values()))
    _check_finite(answer, probabilities)
    return probabilities


def _run_batches(
    path: Path, answers: Sequence[GoldenCase], numbers: Sequence[int], settings: TokenizerSettings
) -> _Received:
    """Runs `classify_tokens` on padded rows, whose results differ if the mask does not hide the padding."""
    rows = np.full((len(numbers), max(len(answers[number].token_ids) for number in numbers)), settings.pad_id, np.int32)
    for row, number in zip(rows, numbers, strict=True):
        row[: len(answers[number].token_ids)] = answers[number].token_ids
    backend = default_backend(path, tokenizer=settings.kind)
    try:
        if CLASSIFY_TOKENS not in backend.signatures():
            return {}
        outputs = [
            backend.run(CLASSIFY_TOKENS, {TOKEN_IDS: rows[first : first + _BATCH]})[PROBABILITIES]
            for first in range(0, len(numbers), _BATCH)
        ]
    finally:
        backend.close()
    received = dict(zip(numbers, np.concatenate(outputs).astype(np.float64), strict=True))
    for number, probabilities in received.items():
        _check_finite(answers[number], probabilities)
    return received


def _check_finite(answer: GoldenCase, received: NDArray[np.float64]) -> None:
    if not np.isfinite(received).all():
        raise _OutOfTolerance(f"The file's probabilities of {_named(answer)} are not finite: {received.tolist()[:8]}.")


def _check_each(
    answers: Sequence[GoldenCase], received: Mapping[int, NDArray[np.float64]], tolerance: Tolerance, decision: Decision
) -> None:
    for number, probabilities in received.items():
        _check_probabilities(answers[number], probabilities, tolerance.largest, decision)


def _check_probabilities(
    answer: GoldenCase, received: NDArray[np.float64], tolerance: float, decision: Decision
) -> None:
    """Raises if a probability or the label differs by more than the tolerance."""
    expected = _expected(answer)
    difference = float(np.max(np.abs(received - expected)))
    if not difference <= tolerance:  # in this form, NaN fails too
        raise _OutOfTolerance(
            f"The probabilities of {_named(answer)} differ from those of the Keras classifier by {difference:.3g}; "
            f"{tolerance:g} is allowed."
        )
    margin = decision.margin(expected, received)
    is_flip = margin > tolerance
    if decision.is_multi_label:  # its margin is a share of the room on a side of the threshold
        is_flip = not decision.is_close_call(expected, received, tolerance)
    if is_flip:
        raise _OutOfTolerance(
            f"The label of {_named(answer)} flips from number {_numbers(expected, decision)} to number "
            f"{_numbers(received, decision)}; Keras is sure of it by {margin:.3f}."
        )


def _expected(answer: GoldenCase) -> NDArray[np.float64]:
    return np.array(answer.probabilities)


def _numbers(probabilities: NDArray[np.float64], decision: Decision) -> str:
    return " and ".join(map(str, decision.chosen(probabilities))) or "none"


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
