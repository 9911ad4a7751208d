"""The fastest of several plans on this machine: convert by each, time the files in turn, keep the best one.

Which plan is fastest depends on the processor: int4 weights are slower than int8 with VNNI and not with little memory
bandwidth, and int8 matmuls are hardly faster than float without dot products of bytes (docs/performance.md).
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.conversion import ConversionRequest, Stage, convert_preset
from edgedistil_converters.files import atomic_path
from edgedistil_converters.quantization.plan import LayerScheme, QuantizationPlan
from edgedistil_runtime.artifact import artifact_bytes, read_artifact
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings, benchmark
from edgedistil_runtime.benchmarking.texts import BENCHMARK_TEXTS
from edgedistil_runtime.contract import CPU, NO_TOKENIZER
from edgedistil_runtime.errors import ConversionError, ParityError

if TYPE_CHECKING:
    from edgedistil_converters import Conversion

__all__ = ["PLANS", "TUNING", "MeasuredPlan", "Tuning", "convert_fastest", "plan_name"]

TUNING = "tuning"  # key of `preparation` in edgedistil.json

_FEED_FORWARD = tuple(LayerScheme(f"*/{matmul}", "int8") for matmul in ("intermediate", "output"))
PLANS = (
    QuantizationPlan("int8"),
    QuantizationPlan("int4"),
    QuantizationPlan("int4", int4_scales="channel"),
    QuantizationPlan("int4", _FEED_FORWARD),
    QuantizationPlan("fp16"),
    QuantizationPlan("fp32", (LayerScheme("*_embeddings", "int8"),)),
)


@dataclass(frozen=True)
class MeasuredPlan:
    """A plan that was tried.

    Attributes:
        plan: Its name.
        bytes: Size of the file; 0 if it was refused.
        p50_ms: Median time of a text, in milliseconds; 0 if it was refused.
        agreement: Share of texts with the Keras model's label.
        refusal: Why verification refused the file; empty if it did not.
    """

    plan: str
    bytes: int = 0
    p50_ms: float = 0.0
    agreement: float = 0.0
    refusal: str = ""


@dataclass(frozen=True)
class Tuning:
    """What was measured.

    Attributes:
        plans: The plans, in the order that they were tried.
        texts: Number of texts that were timed.
        machine: Type of the machine that ran them.
    """

    plans: tuple[MeasuredPlan, ...]
    texts: int
    machine: str

    @property
    def fastest(self) -> MeasuredPlan:
        """The fastest plan that verification accepted; of equal ones the smallest file."""
        return min((one for one in self.plans if not one.refusal), key=lambda one: (one.p50_ms, one.bytes))

    def to_dict(self) -> dict[str, Any]:
        """The tuning as plain data, for the file's metadata."""
        plans = [
            asdict(one) | {"p50_ms": round(one.p50_ms, 4), "agreement": round(one.agreement, 4)} for one in self.plans
        ]
        return {"plans": plans, "texts": self.texts, "machine": self.machine}


def plan_name(plan: QuantizationPlan) -> str:
    """Returns a name for a plan: its scheme, and the layers with another one.

    Example:
        >>> [plan_name(plan) for plan in PLANS[:3]]
        ['int8', 'int4', 'int4, a scale per channel']
    """
    scales = [f"a scale per {plan.int4_scales}"] if plan.int4_scales != "block" else []
    return ", ".join([plan.scheme, *scales, *(f"{layer.pattern}={layer.scheme}" for layer in plan.layers)])


def convert_fastest(
    request: ConversionRequest,
    *,
    plans: Sequence[QuantizationPlan] = PLANS,
    settings: BenchmarkSettings | None = None,
    on_stage: Stage | None = None,
) -> "tuple[Conversion, Tuning]":
    """Converts by several plans and keeps the file that is fastest on this machine.

    Args:
        request: As `convert_preset` takes it; its plan is not used. Files are timed on its verification texts, or on
            built-in ones. A plan whose file verification refuses does not count.
        plans: The plans.
        settings: How often and with how many threads texts are timed.
        on_stage: Called with the name of each stage when it begins.

    Returns:
        The conversion, and what was measured, which the file's metadata have too (`preparation`).

    Raises:
        ConversionError: The request is for an accelerator or for token ids, or verification refuses all plans.
        EdgeDistilError: As `convert_preset`.

    Example:
        >>> request = ConversionRequest("intents", Path("tuned.tflite"))
        >>> plans = [QuantizationPlan("fp16"), QuantizationPlan("int8")]
        >>> conversion, tuning = convert_fastest(request, plans=plans, settings=BenchmarkSettings(runs=1))
        >>> tuning.fastest.plan in ("fp16", "int8"), conversion.artifact.metadata.preparation["tuning"]["texts"]
        (True, 21)
    """
    if request.target != CPU or request.interface.tokenizer == NO_TOKENIZER:
        raise ConversionError(
            "Plans are timed from text to label on a CPU. "
            f"Received: `target`={request.target!r}, `tokenizer`={request.interface.tokenizer!r}."
        )
    stage, settings = on_stage or (lambda _: None), settings or BenchmarkSettings(starts=1)
    for plan in plans:
        replace(request, plan=plan).check()
    with tempfile.TemporaryDirectory() as folder:
        made = _convert_each(request, plans, Path(folder), stage)
        files = {name: path for name, (path, found) in made.items() if not isinstance(found, str)}
        texts = request.verification_texts or BENCHMARK_TEXTS
        measured = benchmark(list(files.values()), texts, settings=settings, on_progress=stage)
        times = {name: model.p50_ms for name, model in zip(files, measured.models, strict=True)}
        tuning = Tuning(
            tuple(_measured(name, *found, times) for name, found in made.items()),
            measured.texts.count,
            str(measured.machine),
        )
        path, conversion = made[tuning.fastest.plan]
        assert not isinstance(conversion, str)
        with atomic_path(request.output, force=request.force) as temporary:
            temporary.write_bytes(_with_tuning(path, tuning))
    return replace(conversion, artifact=read_artifact(request.output)), tuning


def _convert_each(
    request: ConversionRequest, plans: Sequence[QuantizationPlan], folder: Path, stage: Stage
) -> "dict[str, tuple[Path, Conversion | str]]":
    """Name of a plan -> its file, and the conversion or the reason why there is no file."""
    found: dict[str, tuple[Path, Conversion | str]] = {}
    for number, plan in enumerate(plans):
        name, path = plan_name(plan), folder / f"{number}.tflite"
        one = replace(request, plan=plan, output=path, keep_failed=False)
        try:
            found[name] = path, convert_preset(one, partial(_of_plan, stage, name))
        except ParityError as error:
            found[name] = path, str(error)
    if all(isinstance(made, str) for _, made in found.values()):
        reasons = " ".join(f"{name}: {made}" for name, (_, made) in found.items())
        raise ParityError(f"Verification refused the file of every plan. {reasons}")
    return found


def _of_plan(stage: Stage, name: str, text: str) -> None:
    stage(f"{name}: {text}")


def _measured(name: str, path: Path, made: "Conversion | str", times: Mapping[str, float]) -> MeasuredPlan:
    if isinstance(made, str):
        return MeasuredPlan(name, refusal=made)
    return MeasuredPlan(name, path.stat().st_size, times[name], made.parity.label_agreement)


def _with_tuning(path: Path, tuning: Tuning) -> bytes:
    """The file with what was measured in its metadata."""
    artifact = read_artifact(path)
    metadata = replace(artifact.metadata, preparation={**artifact.metadata.preparation, TUNING: tuning.to_dict()})
    is_deflated = artifact.metadata.tokenizer.kind != NO_TOKENIZER
    return artifact_bytes(artifact.flatbuffer(), metadata, artifact.vocabulary, is_deflated=is_deflated)
