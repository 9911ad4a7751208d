"""TFMOT's quantizers for the mirror: they round to the grids of TFLite's int8 kernels.

Specification: https://ai.google.dev/edge/litert/models/quantization_spec. Imported only in the child process.
"""

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from edgedistil_converters.quantization.ranges import ATTENTION_RANGE, TANH_RANGE

__all__ = ["QuantizedAttention", "QuantizedFlooredSite", "QuantizedKernel", "QuantizedSite", "QuantizedTanh"]

_quantizers = tfmot.quantization.keras.quantizers
_BITS = 8
_NO_FLOOR = -1e30


class _Nothing(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]
    """Quantizes nothing; the base of the classes below."""

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """Returns (weight, quantizer) pairs."""
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Returns no pairs: the result of an activation function is a layer `Site`."""
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Replaces the weights of a layer by rounded ones for one call."""

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Does nothing: no activation function is quantized."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Returns at most one quantizer."""
        return []

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, which takes none."""
        return {}


class QuantizedKernel(_Nothing):
    """Kernels [inputs, outputs]: int8 from -127 to 127, with a scale for each output from its current largest weight.

    Biases stay float: the file holds them as int32, whose steps are too small to matter.

    Example:
        >>> layer = keras.layers.Dense(2)
        >>> layer.build([None, 3])
        >>> [(kernel, quantizer)] = QuantizedKernel().get_weights_and_quantizers(layer)
        >>> kernel is layer.kernel, quantizer.per_axis, quantizer.symmetric, quantizer.narrow_range
        (True, True, True, True)
    """

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """Returns the kernel and its quantizer."""
        quantizer = _quantizers.LastValueQuantizer(num_bits=_BITS, per_axis=True, symmetric=True, narrow_range=True)
        return [(layer.kernel, quantizer)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Replaces the kernel of the layer by the rounded one."""
        (layer.kernel,) = quantize_weights


class QuantizedSite(_Nothing):
    """Activations: one range for the tensor, a moving average of the (min, max) of batches that always contains 0.

    Example:
        >>> [quantizer] = QuantizedSite().get_output_quantizers(None)
        >>> quantizer.per_axis, quantizer.symmetric
        (False, False)
    """

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Returns the quantizer of the site."""
        return [_quantizers.MovingAverageQuantizer(num_bits=_BITS, per_axis=False, symmetric=False, narrow_range=False)]


class QuantizedFlooredSite(_Nothing):
    """Activations with a floor (see `Calibration`): the range does not extend below it."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Returns the quantizer of the site."""
        return [_FlooredQuantizer(num_bits=_BITS, per_axis=False, symmetric=False, narrow_range=False)]


class _FlooredQuantizer(tfmot.quantization.keras.quantizers.MovingAverageQuantizer):  # type: ignore[misc]
    """Learns the range after values below a floor are raised to it, as int8 does when it saturates."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Adds the range and the floor to the variables of the layer."""
        floor = layer.add_weight(f"{name}_floor", initializer=keras.initializers.Constant(_NO_FLOOR), trainable=False)
        return {**super().build(tensor_shape, name, layer), "floor": floor}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **options: Any) -> Any:
        """Returns the rounded tensor."""
        return super().__call__(tf.maximum(inputs, weights["floor"]), training, weights, **options)


class QuantizedAttention(_Nothing):
    """The softmax of attention, whose range TFLite's kernel fixes: `ATTENTION_RANGE`.

    Example:
        >>> [quantizer] = QuantizedAttention().get_output_quantizers(None)
        >>> (quantizer.get_config()["init_min"], quantizer.get_config()["init_max"]) == ATTENTION_RANGE
        True
    """

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Returns the quantizer with the fixed range."""
        lowest, highest = ATTENTION_RANGE
        return [_quantizers.FixedQuantizer(num_bits=_BITS, init_min=lowest, init_max=highest, narrow_range=False)]


class QuantizedTanh(_Nothing):
    """The tanh of the head, whose range nothing learns."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The fixed one."""
        lowest, highest = TANH_RANGE
        return [_quantizers.FixedQuantizer(num_bits=_BITS, init_min=lowest, init_max=highest, narrow_range=False)]
