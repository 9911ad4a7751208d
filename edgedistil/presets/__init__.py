"""Presets: what a `preset` names, where it is found, and how it becomes a classifier.

    registry      the names that exist: KerasHub's three and the bundled ones (no TensorFlow)
    download      a name, handle or path -> a local directory
    loading       a local directory -> a classifier, with its labels where it has a trained head
    huggingface   the classification head of a Hugging Face checkpoint, which KerasHub does not load

Importing this package brings in the registry alone.
"""

from edgedistil.presets.registry import PresetInfo, bundled_preset_path, list_presets

__all__ = ["PresetInfo", "bundled_preset_path", "list_presets"]
