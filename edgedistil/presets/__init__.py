"""Presets: what a `preset` names, where it is found, and how it becomes a classifier.

    registry      the names that exist: KerasHub's and the bundled ones (no TensorFlow)
    download      name, handle or path -> local directory
    packaged      the files of all_minilm_l6_v2_en in an installed package
    int8_encoder  writes an encoder without a task in 8 bits, as the bundled ones are
    loading       local directory -> classifier, with its labels if it has a trained head
    huggingface, huggingface_tokenizer, safetensors_files     what transformers writes
    keras_hub_format, folding, keras_file                     what KerasHub and Keras write

Importing this package imports only the registry.
"""

from edgedistil.presets.registry import PresetInfo, bundled_preset_path, list_presets

__all__ = ["PresetInfo", "bundled_preset_path", "list_presets"]
