"""Quantization plans: the scheme of a file, exceptions for layers, and what they require.

Imports nothing outside the standard library, so that a command line can show schemes without delay.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgedistil_converters.quantization.schemes import SCHEMES, Rules, Scheme, Tolerance
from edgedistil_converters.sites import EMBEDDING_SITES, matmul_sites
from edgedistil_runtime.errors import ConversionError

__all__ = ["INT4_SCALES", "OLDEST_RUNTIMES", "ROUNDINGS", "LayerScheme", "QuantizationPlan"]

OLDEST_RUNTIMES = ("", "2.14")
ROUNDINGS = ("nearest", "gptq")
INT4_SCALES = ("block", "channel")
_LAYER_SCHEMES = ("fp32", "int8", "int4")  # for single layers
_MIXED = ("fp32", "int8", "int4", "int8-static", "int8-qat")  # plans in which single layers may have other schemes
_MANY_LAYERS = 100  # more than any classifier has


@dataclass(frozen=True)
class LayerScheme:
    """A scheme for the weights of some layers, chosen by name.

    Attributes:
        pattern: Pattern for site names, with `*`, `?` and `[...]` as in a shell: `transformer_layer_0/*`.
        scheme: `fp32`, `int8` or `int4`. In plans with int8 activations, `fp32` keeps a matmul in float, and `int4` is
            only for embedding tables.

    Raises:
        ConversionError: The scheme is not one of these three.

    Example:
        >>> LayerScheme("*_embeddings", "int4").is_for_embeddings, LayerScheme("*", "int4").is_for_embeddings
        (True, False)
    """

    pattern: str
    scheme: str

    @property
    def is_for_embeddings(self) -> bool:
        """True if the pattern matches embedding tables and no matmul, for any number of layers."""
        is_matmul = any(fnmatch.fnmatchcase(site, self.pattern) for site in matmul_sites(_MANY_LAYERS))
        return not is_matmul and any(fnmatch.fnmatchcase(site, self.pattern) for site in EMBEDDING_SITES)

    def __post_init__(self) -> None:
        if self.scheme not in _LAYER_SCHEMES:
            raise ConversionError(
                f"The scheme of a layer (`layers`) must be one of {', '.join(_LAYER_SCHEMES)}. "
                f"Received: {self.scheme!r} for {self.pattern!r}."
            )


@dataclass(frozen=True)
class QuantizationPlan:
    """How to quantize a classifier. An impossible plan raises an error when it is built.

    Attributes:
        scheme: A key of `SCHEMES`; `int8` by default.
        layers: Exceptions for layers by name; if several match a layer, the last one counts.
        oldest_runtime: `2.14` for a file that also runs on tflite-runtime 2.14 of 2023, the newest for 32-bit Raspberry
            Pi OS; dynamic int8 weights then have one scale per matrix. Empty (default) for no such limit.
        rounding: Rounding of matmuls' int4 weights: `nearest` (default), or `gptq`, which needs texts; see
            `calibrated`.
        int4_scales: Which int4 weights of matmuls share a scale: `block` (default), 32 of an output channel, or
            `channel`, all of it. Processors multiply the latter faster (docs/performance.md), and they need `gptq`
            to keep their accuracy.

    Raises:
        ConversionError: An unknown value, or an impossible combination.

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
    int4_scales: str = "block"

    def __post_init__(self) -> None:
        if self.oldest_runtime not in OLDEST_RUNTIMES:
            raise ConversionError(
                f"The value of `oldest_runtime` must be empty or {' or '.join(filter(None, OLDEST_RUNTIMES))}. "
                f"Received: {self.oldest_runtime!r}."
            )
        if self.scheme not in SCHEMES:
            raise ConversionError(f"`scheme` must be one of {', '.join(SCHEMES)}. Received: {self.scheme!r}.")
        if self.oldest_runtime and self.scheme == "int4":
            raise self._no_int4_kernels("int4")
        if self.layers and self.scheme not in _MIXED:
            raise ConversionError(
                f"Layers can have other schemes (`layers`) in plans of {', '.join(_MIXED)}. Received: {self.scheme!r}."
            )
        self._check_int4()

    def _check_int4(self) -> None:
        if self.int4_scales not in INT4_SCALES:
            raise ConversionError(f"`int4_scales` must be {' or '.join(INT4_SCALES)}. Received: {self.int4_scales!r}.")
        if self.int4_scales != "block" and not self._has_int4:
            raise ConversionError(
                f"`int4_scales` is for int4 weights; this plan of {self.scheme} has none. "
                f"Received: {self.int4_scales!r}. Use int4, or give layers int4."
            )
        if self.rounding not in ROUNDINGS:
            raise ConversionError(f"`rounding` must be {' or '.join(ROUNDINGS)}. Received: {self.rounding!r}.")
        if self.rounding != "nearest" and not self._has_int4:
            raise ConversionError(
                f"GPTQ rounds int4 weights; this plan of {self.scheme} has none. Received: {self.rounding!r}. "
                "Use int4, or the rounding nearest."
            )

    @property
    def _has_int4(self) -> bool:
        return "int4" in (self.scheme, *(layer.scheme for layer in self.layers))

    @property
    def _scheme(self) -> Scheme:
        return SCHEMES[self.scheme]

    @property
    def is_static(self) -> bool:
        """True if the file fixes the ranges of activations."""
        return self._scheme.activations == "int8"

    @property
    def needs(self) -> str:
        """Data that the conversion needs besides the classifier; see `Scheme`."""
        return self._scheme.needs

    @property
    def tolerance(self) -> Tolerance:
        """Bounds on the difference from the Keras classifier: those of the coarsest scheme in the plan."""
        return self._coarsest.tolerance

    @property
    def rules(self) -> Rules | None:
        """Rules that the file must keep: those of the coarsest scheme in the plan."""
        return self._coarsest.rules

    @property
    def _coarsest(self) -> Scheme:
        return max([self._scheme, *(SCHEMES[layer.scheme] for layer in self.layers)], key=_largest)

    def calibrated(self, num_layers: int) -> "QuantizationPlan":
        """Return the plan for use with calibration texts: int4 weights of matmuls, if any, are rounded by GPTQ.

        Args:
            num_layers: Number of transformer layers of the classifier.
        """
        dtypes = self.weight_dtypes(num_layers)
        has_int4_matmul = any(dtypes[site] == "int4" for site in matmul_sites(num_layers))
        return replace(self, rounding="gptq") if has_int4_matmul else self

    def weight_dtypes(self, num_layers: int) -> dict[str, str]:
        """Return site -> dtype of its weights, for all matmuls and embedding tables.

        Args:
            num_layers: Number of transformer layers of the classifier.

        Raises:
            ConversionError: A pattern matches no site, gives an embedding table floats in an integer plan, or a matmul
                int4 in a static plan; or no matmul is left for a static plan to quantize.
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
                f"This plan of {self.scheme} takes every matmul out (`layers`) and leaves no range to fix. "
                "Use fp32 with the pattern *_embeddings=int8, or take fewer layers out."
            )
        int4 = [site for site, dtype in matmuls.items() if dtype == "int4"]
        if self.oldest_runtime and int4:
            raise self._no_int4_kernels(f"int4 for {', '.join(int4[:5])}")
        if self.is_static and int4:
            raise ConversionError(
                f"In a plan of {self.scheme}, a matmul can be taken out with fp32 but cannot be int4: the kernels for "
                "int8 activations need int8 weights. Embedding tables can be int4: *_embeddings=int4. "
                f"Received: int4 for {', '.join(int4[:5])}."
            )
        floats = [site for site in EMBEDDING_SITES if dtypes[site] == "float32"]
        if floats and self.scheme != "fp32":
            raise ConversionError(
                f"Embedding tables are not float in a plan of {self.scheme}: they are most of the file, and int8 rows "
                f"cost no measurable accuracy. Received: fp32 for {', '.join(floats)}. Use int8 or int4 for them."
            )

    def _no_int4_kernels(self, received: str) -> ConversionError:
        return ConversionError(
            f"tflite-runtime {self.oldest_runtime} (`oldest_runtime`) has no int4 kernels for matmuls. "
            f"Received: {received}. Use int8 or int8-static; embedding tables can be int4: *_embeddings=int4."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, for the artifact's metadata."""
        scheme, layers = self._scheme, dict[str, str]()
        for layer in self.layers:
            layers.pop(layer.pattern, None)  # a pattern that is given twice counts at its last place
            layers[layer.pattern] = layer.scheme
        return {
            "scheme": self.scheme,
            "weights": scheme.weights,
            "embeddings": scheme.embeddings,
            "activations": scheme.activations,
            "oldest_runtime": self.oldest_runtime,
            "rounding": self.rounding if self._has_int4 else "",
            "int4_scales": self.int4_scales if self._has_int4 else "",
            "layers": layers,
        }


def _largest(scheme: Scheme) -> float:
    return scheme.tolerance.largest
