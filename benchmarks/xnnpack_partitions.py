"""What XNNPACK, LiteRT's delegate for CPUs, takes of a file, and in how many pieces; what is left runs op by op.

    edgedistil convert --preset PRESET --tokenizer none -o int8.tflite
    edgedistil convert --preset PRESET --tokenizer none --quantize int8-static --calibration-data F -o static.tflite
    python benchmarks/xnnpack_partitions.py int8.tflite static.tflite

Looks at the first subgraph alone, so at files without a tokenizer, in the shapes of a text of --tokens tokens. Prints a
table, then one line of JSON.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

_DELEGATE = "DELEGATE"


def partitions(path: Path, tokens: int) -> dict[str, Any]:
    """How many pieces the delegate took, and the ops that it left."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    [ids] = interpreter.get_input_details()
    interpreter.resize_tensor_input(ids["index"], [1, tokens])
    interpreter.allocate_tensors()
    interpreter.set_tensor(ids["index"], np.ones((1, tokens), np.int32))
    interpreter.invoke()
    graph = interpreter._interpreter  # no public name tells the nodes of a delegated graph
    names = [graph.NodeName(node) for node in range(graph.NumNodes())]
    taken = taken_nodes(graph, names)
    left = Counter(name for node, name in enumerate(names) if name != _DELEGATE and node not in taken)
    return {"file": path.name, "pieces": names.count(_DELEGATE), "taken": len(taken), "left": dict(left.most_common())}


def taken_nodes(graph: Any, names: list[str]) -> set[int]:
    """The nodes between what goes into a delegate's node and what comes out of it."""
    maker = {tensor: node for node, name in enumerate(names) if name != _DELEGATE for tensor in graph.NodeOutputs(node)}
    taken: set[int] = set()
    for piece in (node for node, name in enumerate(names) if name == _DELEGATE):
        edge, waiting = set(graph.NodeInputs(piece)), [*graph.NodeOutputs(piece)]
        while waiting:
            tensor = waiting.pop()
            if tensor in edge or tensor not in maker or maker[tensor] in taken:
                continue
            taken.add(maker[tensor])
            waiting.extend(graph.NodeInputs(maker[tensor]))
    return taken


def main() -> None:
    """Looks at each file and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--tokens", type=int, default=20)
    arguments = parser.parse_args()
    rows = [partitions(path, arguments.tokens) for path in arguments.files]
    print("| file | pieces | ops taken | ops left |\n|---|---|---|---|")
    for row in rows:
        left = ", ".join(f"{count} {name}" for name, count in row["left"].items())
        print(f"| {row['file']} | {row['pieces']} | {row['taken']} | {left} |")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
