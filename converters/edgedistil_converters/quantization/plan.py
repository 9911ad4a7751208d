"""What a conversion does to the numbers of a model, as one frozen value."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgedistil_converters.sites import EMBEDDING_SITES, matmul_sites
from edgedistil_runtime.errors import ConversionError

__all__ = ["OLDEST_RUNTIMES", "ROUNDINGS", "SCHEMES", "LayerScheme", "QuantizationPlan", "Scheme", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """How far probabilities may be from those of the float Keras classifier.

    Attributes:
        largest: bound on the largest absolute difference over all texts and classes.
        mean: bound on the mean absolute difference.
        agreement: the least share of texts whose label must be the same, however close Keras has the two.
    """

    largest: float
    mean: float
    agreement: float = 0.0


@dataclass(frozen=True)
class Scheme:
    """What a plan's name stands for.

    Attributes:
        summary: one line for people.
        weights: dtype of matmul weights in the file.
        embeddings: dtype of the embedding tables in the file.
        tolerance: for probabilities. float32 reorders sums; float16 rounds to 11 bits; int8 rounds a weight to 1/127
            of the largest of its output channel, and each row of activations likewise, as it runs; static int8 rounds
            activations to 1/255 of the range that calibration saw; int4 rounds weights to 1/7 of the largest of 32.
            Of int8-qat, single texts may differ much, for its weights were trained for int8 and not for float.
        activations: `float32`, or `int8` where the file fixes the range of every activation.
        needs: what the conversion must be given beside the classifier: `calibration data`, `training data` or nothing.
    """

    summary: str
    weights: str
    embeddings: str
    tolerance: Tolerance
    activations: str = "float32"
    needs: str = ""


SCHEMES: Mapping[str, Scheme] = {
    "fp32": Scheme("float32 weights and arithmetic", "float32", "float32", Tolerance(1e-4, 1e-5)),
    "fp16": Scheme("float16 weights, float32 arithmetic", "float16", "float16", Tolerance(1e-2, 1e-3)),
    "int8": Scheme(
        "int8 weights, activations quantized as they run (dynamic range)", "int8", "int8", Tolerance(0.1, 0.01)
    ),
    "int4": Scheme("int4 weights in blocks of 32, activations as in int8", "int4", "int4", Tolerance(0.5, 0.05, 0.75)),
    "int8-static": Scheme(
        "int8 weights and activations, ranges measured on calibration data",
        "int8",
        "int8",
        Tolerance(0.3, 0.03, 0.75),
        activations="int8",
        needs="calibration data",
    ),
    "int8-qat": Scheme(
        "int8 weights and activations, ranges learned in training",
        "int8",
        "int8",
        Tolerance(0.9, 0.05, 0.75),
        activations="int8",
        needs="training data",
    ),
}
# What a layer may have instead of its plan's scheme, and which plans may mix at all.
_LAYER_SCHEMES = ("fp32", "int8", "int4")
OLDEST_RUNTIMES = ("", "2.14")
ROUNDINGS = ("nearest", "gptq")
_MANY_LAYERS = 100
_MIXED = ("fp32", "int8", "int4", "int8-static", "int8-qat")


@dataclass(frozen=True)
class LayerScheme:
    """Layers by name, and the scheme of their weights.

    Attributes:
        pattern: matched against site names, with `*`, `?` and `[...]` as in a shell: `transformer_layer_0/*`.
        scheme: `fp32`, `int8` or `int4`; where activations are int8, `fp32` takes a matmul out, and `int4` is for
            embedding tables alone.
    """

    pattern: str
    scheme: str

    @property
    def is_for_embeddings(self) -> bool:
        """Whether the pattern can match embedding tables and no matmul, however many layers there are."""
        is_matmul = any(fnmatch.fnmatchcase(site, self.pattern) for site in matmul_sites(_MANY_LAYERS))
        return not is_matmul and any(fnmatch.fnmatchcase(site, self.pattern) for site in EMBEDDING_SITES)

    def __post_init__(self) -> None:
        if self.scheme not in _LAYER_SCHEMES:
            raise ConversionError(
                f"The scheme of a layer is one of {', '.join(_LAYER_SCHEMES)}. Received: {self.scheme!r} for "
                f"{self.pattern!r}."
            )


@dataclass(frozen=True)
class QuantizationPlan:
    """One way to quantize a classifier; an impossible one cannot be built.

    Attributes:
        scheme: a key of `SCHEMES`.
        layers: exceptions by layer name; where several match, the last one counts.
        oldest_runtime: `2.14` for a file that tflite-runtime 2.14 of 2023 runs too, the newest for 32-bit Raspberry Pi
            OS: dynamic int8 weights then have one scale a matrix. Empty for no such demand.
        rounding: of int4 weights of matmuls: `nearest`, or `gptq`, which needs texts; see `calibrated`.

    Example:
        >>> QuantizationPlan("int8").tolerance.largest
        0.1
        >>> QuantizationPlan("int8", (LayerScheme("transformer_layer_5/*", "fp32"),)).weight_dtypes(6)["logits"]
        'int8'
    """

    scheme: str = "int8"
    layers: tuple[LayerScheme, ...] = ()
    oldest_runtime: str = ""
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        if self.oldest_runtime not in OLDEST_RUNTIMES:
            raise ConversionError(
                f"The oldest runtime that can be asked for is {' or '.join(filter(None, OLDEST_RUNTIMES))}. "
                f"Received: {self.oldest_runtime!r}."
            )
        if self.scheme not in SCHEMES:
            raise ConversionError(f"A quantization scheme is one of {', '.join(SCHEMES)}. Received: {self.scheme!r}.")
        if self.oldest_runtime and self.scheme == "int4":
            raise self._no_int4_kernels("int4")
        if self.layers and self.scheme not in _MIXED:
            raise ConversionError(
                f"Layers can have schemes of their own in plans of {', '.join(_MIXED)}. Received: {self.scheme!r}."
            )
        self._check_rounding()

    def _check_rounding(self) -> None:
        if self.rounding not in ROUNDINGS:
            raise ConversionError(f"Weights are rounded by {' or '.join(ROUNDINGS)}. Received: {self.rounding!r}.")
        if self.rounding != "nearest" and not self._has_int4:
            raise ConversionError(
                f"GPTQ rounds int4 weights; this plan of {self.scheme} has none. Received: {self.rounding!r}. "
                "Use int4, or leave rounding at nearest."
            )

    @property
    def _has_int4(self) -> bool:
        return "int4" in (self.scheme, *(layer.scheme for layer in self.layers))

    @property
    def _scheme(self) -> Scheme:
        return SCHEMES[self.scheme]

    @property
    def is_static(self) -> bool:
        """Whether the file fixes the ranges of activations."""
        return self._scheme.activations == "int8"

    @property
    def needs(self) -> str:
        """What the conversion must be given beside the classifier; see `Scheme`."""
        return self._scheme.needs

    @property
    def tolerance(self) -> Tolerance:
        """How far probabilities may be from those of the Keras classifier."""
        widest = max([self._scheme, *(SCHEMES[layer.scheme] for layer in self.layers)], key=_largest)
        return widest.tolerance

    def calibrated(self, num_layers: int) -> "QuantizationPlan":
        """What texts make of the plan: int4 weights of matmuls, where it has some, are rounded by GPTQ.

        Args:
            num_layers: transformer layers of the classifier.
        """
        dtypes = self.weight_dtypes(num_layers)
        has_int4_matmul = any(dtypes[site] == "int4" for site in matmul_sites(num_layers))
        return replace(self, rounding="gptq") if has_int4_matmul else self

    def weight_dtypes(self, num_layers: int) -> dict[str, str]:
        """The dtype of the weights at every site that has some: matmuls and embedding tables.

        Args:
            num_layers: transformer layers of the classifier.

        Raises:
            ConversionError: a pattern matches no site, or makes an embedding table float in a file of integers, or a
                matmul of a static plan int4, or the patterns leave no matmul for a static plan to quantize.
        """
        dtypes = dict.fromkeys(matmul_sites(num_layers), self._scheme.weights)
        dtypes |= dict.fromkeys(EMBEDDING_SITES, self._scheme.embeddings)
        for layer in self.layers:
            matched = fnmatch.filter(dtypes, layer.pattern)
            if not matched:
                raise ConversionError(
                    f"The pattern {layer.pattern!r} matches no layer. The layers are: {', '.join(dtypes)}."
                )
            dtypes |= dict.fromkeys(matched, SCHEMES[layer.scheme].weights)
        self._check_dtypes(dtypes)
        return dtypes

    def _check_dtypes(self, dtypes: Mapping[str, str]) -> None:
        matmuls = {site: dtype for site, dtype in dtypes.items() if site not in EMBEDDING_SITES}
        if self.is_static and set(matmuls.values()) == {"float32"}:
            raise ConversionError(
                f"This plan of {self.scheme} takes every matmul out, and leaves nothing whose range could be fixed. "
                "Use fp32 with the pattern *_embeddings at int8, or take fewer layers out."
            )
        int4 = [site for site, dtype in matmuls.items() if dtype == "int4"]
        if self.oldest_runtime and int4:
            raise self._no_int4_kernels(f"int4 for {', '.join(int4[:5])}")
        if self.is_static and int4:
            raise ConversionError(
                f"In a plan of {self.scheme}, a matmul can be taken out with fp32, and not be int4: the kernels for "
                "int8 activations take int8 weights. Embedding tables can be int4: *_embeddings. "
                f"Received: int4 for {', '.join(int4[:5])}."
            )
        floats = [site for site in EMBEDDING_SITES if dtypes[site] == "float32"]
        if floats and self.scheme != "fp32":
            raise ConversionError(
                f"Embedding tables are not float in a plan of {self.scheme}: they are most of the file, and rows of "
                f"int8 lose nothing that shows. Received: fp32 for {', '.join(floats)}."
            )

    def _no_int4_kernels(self, received: str) -> ConversionError:
        return ConversionError(
            f"tflite-runtime {self.oldest_runtime} has no int4 kernels for matmuls. Received: {received}. Use int8 or "
            "int8-static; embedding tables can be int4: --layer '*_embeddings=int4'."
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, for the artefact's metadata."""
        scheme, layers = self._scheme, dict[str, str]()
        for layer in self.layers:
            layers.pop(layer.pattern, None)  # a pattern given twice counts where it was given last
            layers[layer.pattern] = layer.scheme
        return {
            "scheme": self.scheme,
            "weights": scheme.weights,
            "embeddings": scheme.embeddings,
            "activations": scheme.activations,
            "oldest_runtime": self.oldest_runtime,
            "rounding": self.rounding if self._has_int4 else "",
            "layers": layers,
        }


def _largest(scheme: Scheme) -> float:
    return scheme.tolerance.largest
