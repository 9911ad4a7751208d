"""English smart-home commands that the project generates itself: the data of the preset `smart_home_tiny_en`.

    from datasets.smart_home import generate
    train = generate("train")          # [Example(text="dim the hallway lights pls", label="light_brightness"), ...]

or, as files: `python -m datasets.smart_home OUT_DIR`. No sentence comes from an existing data set.

The preset itself is made by `python -m datasets.smart_home.train`.

`intents` names the labels, `templates` and `slots` are the grammar as data, `grammar` expands it, `noise` adds the
typos and courtesies of real input, `dataset` draws the three splits, `train` fits the preset's classifier to them.
"""

from datasets.smart_home.dataset import SPLIT_SIZES, Example, SplitSize, generate, generate_training, write_csv
from datasets.smart_home.grammar import SPLITS
from datasets.smart_home.intents import INTENTS, OUT_OF_SCOPE

__all__ = [
    "INTENTS",
    "OUT_OF_SCOPE",
    "SPLITS",
    "SPLIT_SIZES",
    "Example",
    "SplitSize",
    "generate",
    "generate_training",
    "write_csv",
]
