"""Writes an encoder as a small preset directory: Hugging Face's format, but every matrix in 8 bits.

    config.json, tokenizer_config.json, vocab.txt     as transformers writes them for a DistilBERT
    model.safetensors                                 matrices as int8 with a scale for each row, vectors as float32
    1_Pooling/config.json                             as sentence-transformers writes it, if outputs are averaged
    ATTRIBUTION.md                                    whose texts the encoder was trained on

`edgedistil.presets.huggingface` reads it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgedistil.presets.attribution import ATTRIBUTION_FILE
from edgedistil.presets.huggingface import tensor_names
from edgedistil.presets.pooling import POOLING_FILE
from edgedistil.presets.safetensors_files import SCALE, WEIGHTS
from edgedistil_converters.files import atomic_directory
from edgedistil_converters.model.keras_hub import backbone_layers
from edgedistil_runtime.errors import PresetError

__all__ = ["write_encoder"]

_HIGHEST = 127


def write_encoder(
    backbone: Any,
    preprocessor: Any,
    directory: str | Path,
    *,
    is_mean_pooled: bool = True,
    attribution: str = "",
) -> Path:
    """Writes a backbone and its preprocessor as a preset without a task.

    Args:
        backbone: A `keras_hub.models.DistilBertBackbone` with KerasHub's GELU and epsilon.
        preprocessor: A preprocessor with Hugging Face's rules.
        directory: Directory to write.
        is_mean_pooled: Mark it as a sentence encoder whose outputs are averaged.
        attribution: Content of ATTRIBUTION.md; no file if empty.

    Returns:
        The directory.

    Raises:
        PresetError: the preprocessor has KerasHub's rules.
        OutputError: the directory cannot be written.
    """
    rules = getattr(preprocessor.tokenizer, "rules", None)
    if rules is None:
        raise PresetError("An encoder is written with Hugging Face's tokenizer. Received: KerasHub's tokenizer")
    with atomic_directory(Path(directory)) as work:
        _write_json(work / "config.json", _config(backbone))
        tokenizer = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": rules.lowercase,
            "strip_accents": rules.strip_accents,
            "tokenize_chinese_chars": rules.handle_chinese_chars,
            "model_max_length": int(backbone.max_sequence_length),
        }
        _write_json(work / "tokenizer_config.json", tokenizer)
        pieces = preprocessor.tokenizer.get_vocabulary()
        (work / "vocab.txt").write_bytes("".join(f"{piece}\n" for piece in pieces).encode())
        save_file(_tensors(backbone), work / WEIGHTS)
        if is_mean_pooled:
            (work / POOLING_FILE).parent.mkdir()
            _write_json(work / POOLING_FILE, {"pooling_mode_mean_tokens": True})
        if attribution:
            (work / ATTRIBUTION_FILE).write_text(attribution, encoding="utf-8", newline="\n")
    return Path(directory)


def _config(backbone: Any) -> dict[str, Any]:
    return {
        "model_type": "distilbert",
        "activation": "gelu",
        "n_layers": int(backbone.num_layers),
        "n_heads": int(backbone.num_heads),
        "dim": int(backbone.hidden_dim),
        "hidden_dim": int(backbone.intermediate_dim),
        "vocab_size": int(backbone.vocabulary_size),
        "max_position_embeddings": int(backbone.max_sequence_length),
        "dropout": float(backbone.dropout),
        "num_parameters": int(backbone.count_params()),  # for `edgedistil presets`, which loads nothing
    }


def _tensors(backbone: Any) -> dict[str, NDArray[Any]]:
    words, positions, names = tensor_names("distilbert", backbone.num_layers)
    matrices = {
        words: np.asarray(backbone.token_embedding.embeddings),
        positions: np.asarray(backbone.embeddings.position_embedding.position_embeddings),
    }
    found: dict[str, NDArray[Any]] = {}
    for site, layer in backbone_layers(backbone):
        if hasattr(layer, "gamma"):
            found[f"{names[site]}.weight"], found[f"{names[site]}.bias"] = layer.gamma.numpy(), layer.beta.numpy()
            continue
        bias = np.asarray(layer.bias).reshape(-1)
        # PyTorch stores a kernel as [out, in]: a row, which has a scale, is an output.
        matrices[f"{names[site]}.weight"] = np.asarray(layer.kernel).reshape(-1, bias.size).T
        found[f"{names[site]}.bias"] = bias
    for name, matrix in matrices.items():
        found[name], found[name + SCALE] = _quantize(matrix)
    return found


def _quantize(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8[rows, columns] and float32[rows, 1], whose product is the matrix, nearly."""
    scale = np.maximum(np.abs(matrix).max(axis=1, keepdims=True), 1e-12).astype("float32") / _HIGHEST
    return np.ascontiguousarray(np.round(matrix / scale).astype("int8")), scale


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
