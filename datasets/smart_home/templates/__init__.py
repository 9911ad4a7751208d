"""The grammar as data: the template lines of every label, by domain."""

from collections.abc import Mapping
from types import MappingProxyType

from datasets.smart_home.grammar import SPLITS, Templates
from datasets.smart_home.intents import INTENTS, OUT_OF_SCOPE
from datasets.smart_home.templates.access import ACCESS
from datasets.smart_home.templates.climate import CLIMATE
from datasets.smart_home.templates.lighting import LIGHTING
from datasets.smart_home.templates.music import MUSIC
from datasets.smart_home.templates.out_of_scope import OUT_OF_SCOPE_KINDS
from datasets.smart_home.templates.routines import ROUTINES
from datasets.smart_home.templates.volume import VOLUME
from datasets.smart_home.templates.windows import WINDOWS

__all__ = ["TEMPLATES"]


def _merge(kinds: Mapping[str, Templates]) -> Templates:
    blocks = {split: "\n".join(line for kind in kinds.values() for line in kind.lines(split)) for split in SPLITS}
    return Templates(**blocks)


_COMMANDS = {**LIGHTING, **CLIMATE, **WINDOWS, **ACCESS, **MUSIC, **VOLUME, **ROUTINES}
_BY_LABEL = {**_COMMANDS, OUT_OF_SCOPE: _merge(OUT_OF_SCOPE_KINDS)}

TEMPLATES: Mapping[str, Templates] = MappingProxyType({label: _BY_LABEL[label] for label in INTENTS})
"""The templates of every label, in the order of `INTENTS`."""
