"""Presets: what a `preset` names, where it is found, and how it becomes a classifier.

    registry      the names that exist: KerasHub's three and the bundled ones (no TensorFlow)
    download      name, handle or path -> local directory
    loading       local directory -> classifier, with its labels if it has a trained head
    huggingface   the classification head of a Hugging Face checkpoint, which KerasHub does not load

Importing this package imports only the registry.
"""

from edgedistil.presets.registry import PresetInfo, bundled_preset_path, list_presets

__all__ = ["PresetInfo", "bundled_preset_path", "list_presets"]
