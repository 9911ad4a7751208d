"""What TFMOT quantizes in the mirror, and on which grid: that of TFLite's int8 kernels.

Specification: https://ai.google.dev/edge/litert/models/quantization_spec. Loaded in the child process only.
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
    """Quantizes nothing: what the three below have in common."""

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """(weight, quantizer) pairs."""
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """None: what an activation function gives is a site of its own."""
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Puts rounded weights in the place of a layer's own for one call."""

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Nothing to set."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """At most one."""
        return []

    def get_config(self) -> dict[str, Any]:
        """No arguments."""
        return {}


class QuantizedKernel(_Nothing):
    """Kernels [inputs, outputs]: int8 from -127 to 127, a scale for each output from its largest weight as it is now.

    Biases stay float: the file holds them as int32, whose grid is finer than anything here.
    """

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """The kernel."""
        quantizer = _quantizers.LastValueQuantizer(num_bits=_BITS, per_axis=True, symmetric=True, narrow_range=True)
        return [(layer.kernel, quantizer)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Puts the rounded kernel in the place of the layer's own."""
        (layer.kernel,) = quantize_weights


class QuantizedSite(_Nothing):
    """Activations: one range for the tensor, the moving average of the extremes of batches, always around 0."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The site's."""
        return [_quantizers.MovingAverageQuantizer(num_bits=_BITS, per_axis=False, symmetric=False, narrow_range=False)]


class QuantizedFlooredSite(_Nothing):
    """Activations below some value of which nothing matters: a range does not reach further down."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The site's."""
        return [_FlooredQuantizer(num_bits=_BITS, per_axis=False, symmetric=False, narrow_range=False)]


class _FlooredQuantizer(tfmot.quantization.keras.quantizers.MovingAverageQuantizer):  # type: ignore[misc]
    """Learns the range of what is left when all that lies below a floor is raised to it, as int8 will do."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """The range and the floor, as variables of the layer."""
        floor = layer.add_weight(f"{name}_floor", initializer=keras.initializers.Constant(_NO_FLOOR), trainable=False)
        return {**super().build(tensor_shape, name, layer), "floor": floor}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **options: Any) -> Any:
        """The rounded tensor."""
        return super().__call__(tf.maximum(inputs, weights["floor"]), training, weights, **options)


class QuantizedAttention(_Nothing):
    """The softmax of attention, whose range nothing learns."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The fixed one."""
        lowest, highest = ATTENTION_RANGE
        return [_quantizers.FixedQuantizer(num_bits=_BITS, init_min=lowest, init_max=highest, narrow_range=False)]


class QuantizedTanh(_Nothing):
    """The tanh of the head, whose range nothing learns."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """The fixed one."""
        lowest, highest = TANH_RANGE
        return [_quantizers.FixedQuantizer(num_bits=_BITS, init_min=lowest, init_max=highest, narrow_range=False)]
