"""Writes a file, compares it with Keras, and adds the result to its metadata."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.schemes import Bounds, Tolerance
from edgedistil_converters.targets.parts import TargetEncoder
from edgedistil_converters.targets.plans import encoder_rules, encoder_tolerance
from edgedistil_converters.verification.golden_cases import choose_golden_cases, replay_tolerance, trusted_answers
from edgedistil_converters.verification.samples import Samples
from edgedistil_converters.verification.simulation import check_simulation
from edgedistil_converters.verification.verify import ParityReport, verify
from edgedistil_runtime.artifact import ArtifactMetadata, EncoderFlatbuffers, EncoderPart, GoldenCase, artifact_bytes
from edgedistil_runtime.contract import CORALBOARD, FIXED_LENGTHS

__all__ = ["FileParts", "write_verified"]

_ANY_DIFFERENCE = 0.999  # the metadata takes tolerances below 1


@dataclass(frozen=True)
class FileParts:
    """The contents of a file, except its metadata.

    Attributes:
        flatbuffer: The TFLite model that every CPU runs.
        vocabulary: One piece per id.
        encoder: The part for an accelerator; None for a file without one.
        is_deflated: True if the archive is compressed; hosts such as MediaPipe read only uncompressed archives.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> artifact = read_artifact("intents.tflite")
        >>> parts = FileParts(artifact.flatbuffer(), artifact.vocabulary, encoder=None, is_deflated=False)
        >>> parts.write(Path("copy.tflite"), artifact.metadata)
        >>> read_artifact("copy.tflite").metadata == artifact.metadata
        True
    """

    flatbuffer: bytes
    vocabulary: Sequence[str]
    encoder: TargetEncoder | None
    is_deflated: bool

    def encoder_part(self) -> EncoderPart | None:
        """Returns the description of the part for an accelerator, for the metadata."""
        if self.encoder is None:
            return None
        is_compiled = self.encoder.compiled is not None
        return EncoderPart(
            self.encoder.lengths, is_compiled=is_compiled, mapping=self.encoder.mapping, tensors=self.encoder.tensors
        )

    def write(self, path: Path, metadata: ArtifactMetadata) -> None:
        """Writes the file."""
        encoder = EncoderFlatbuffers(self.encoder.flatbuffer, self.encoder.compiled) if self.encoder else None
        path.write_bytes(
            artifact_bytes(self.flatbuffer, metadata, self.vocabulary, encoder=encoder, is_deflated=self.is_deflated)
        )


def write_verified(
    path: Path,
    parts: FileParts,
    metadata: ArtifactMetadata,
    answers: Sequence[GoldenCase],
    plan: QuantizationPlan,
    *,
    samples: Samples | None = None,
    bounds: Bounds | None = None,
) -> ParityReport:
    """Writes a file, verifies it, and writes it again with the result and the golden cases in its metadata.

    Args:
        path: The file.
        parts: Its contents.
        metadata: Its metadata before verification; golden cases, parity and tolerance are filled in.
        answers: Outputs of the Keras classifier.
        plan: How the file is quantized; decides the tolerance and the rules.
        samples: The texts of `answers` that are like those that the model will classify. None of them becomes a golden
            case, because everyone who has the file can read these.
        bounds: The user's bounds instead of those of the plan's rules.

    Raises:
        ParityError: The file does not compute what the classifier computes, or a compiled encoder what the encoder
            computes. The file is there all the same, without a result in its metadata.
        ConversionError: The simulator of a compiled encoder cannot run it.
    """
    samples, bounds = samples or Samples(), bounds or Bounds()
    tolerance = plan.tolerance
    builtin = [answer for answer in answers if answer.text not in samples.number_of] or answers
    # Until it has passed, a file accepts any answer: one that failed can be loaded for study.
    metadata = replace(
        metadata, encoder=parts.encoder_part(), golden_cases=choose_golden_cases(builtin), tolerance=_ANY_DIFFERENCE
    )
    parts.write(path, metadata)
    parity = both = verify(path, answers, tolerance, rules=bounds.of(plan.rules), samples=samples)
    if metadata.encoder is not None:
        tolerance = encoder_tolerance(metadata.target, plan)
        rules = bounds.of(encoder_rules(metadata.target, plan))
        encoder_parity = verify(path, answers, tolerance, rules=rules, samples=samples, part="encoder")
        metadata = replace(metadata, encoder=replace(metadata.encoder, parity=encoder_parity.to_dict()))
        both = parity.worse_of(encoder_parity)
    if parity.fixed_differences:
        largest = {str(length): difference for length, difference in parity.fixed_differences.items()}
        record = {**metadata.preparation[FIXED_LENGTHS], "largest_differences": largest}
        metadata = replace(metadata, preparation={**metadata.preparation, FIXED_LENGTHS: record})
    golden_cases, replayed = _golden_cases(answers, both, tolerance, samples)
    if metadata.target == CORALBOARD and metadata.encoder is not None:
        mapping = {**metadata.encoder.mapping, "simulated": check_simulation(path, golden_cases)}
        metadata = replace(metadata, encoder=replace(metadata.encoder, mapping=mapping))
    metadata = replace(metadata, parity=parity.to_dict(), golden_cases=golden_cases, tolerance=replayed)
    parts.write(path, metadata)
    return parity


def _golden_cases(
    answers: Sequence[GoldenCase], report: ParityReport, tolerance: Tolerance, samples: Samples
) -> tuple[tuple[GoldenCase, ...], float]:
    """Chooses golden cases among the built-in texts, and the tolerance for their replay."""
    pairs = list(zip(answers, report.differences, strict=True))
    builtin = [(answer, difference) for answer, difference in pairs if answer.text not in samples.number_of] or pairs
    candidates = [answer for answer, _ in builtin]
    report = replace(report, differences=tuple(difference for _, difference in builtin))
    cases = choose_golden_cases(trusted_answers(candidates, report, tolerance))
    return cases, replay_tolerance(tolerance, report, cases)
