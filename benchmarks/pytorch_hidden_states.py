"""The PyTorch side of `hidden_states.py`; runs in the environment of `make setup-torch`, which has no EdgeDistil.

    .venv-torch/bin/python benchmarks/pytorch_hidden_states.py CHECKPOINT OUTPUT < texts.json

Reads a JSON list of texts. Writes token ids and the last layer of each text, one text after the other: OUTPUT/ids.npy,
int64[tokens]; OUTPUT/lengths.npy, int64[texts]; OUTPUT/states.npy, float32[tokens, width]. Every text runs by itself,
without padding. Prints the versions as one line of JSON.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers


def main() -> None:
    """Computes and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    texts = json.load(sys.stdin)
    torch.set_num_threads(2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.checkpoint)
    model = transformers.AutoModel.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    rows, states = [], []
    with torch.inference_mode():
        for text in texts:
            inputs = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
            rows.append(inputs["input_ids"][0].numpy())
            states.append(model(**inputs).last_hidden_state[0].numpy())
    np.save(arguments.output / "ids.npy", np.concatenate(rows))
    np.save(arguments.output / "lengths.npy", np.array([len(row) for row in rows]))
    np.save(arguments.output / "states.npy", np.concatenate(states))
    print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}))


if __name__ == "__main__":
    main()
