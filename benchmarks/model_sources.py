"""Seconds and memory until a model is loaded, from its path and from its bytes.

    python benchmarks/model_sources.py MODEL.tflite [--runs 5]

Each run is a process of its own. Anonymous memory is what the process has to itself; the pages of a file that is
memory-mapped can be dropped by the system. Its growth is counted from after the import.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

_WAYS = {"path": "path", "bytes": "bytes", "bytes, interpreter": "bytes", "path, interpreter": "path"}
_CHILD = """
import json, sys, time
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.native_log import native_log_hidden
import ai_edge_litert.compiled_model, ai_edge_litert.interpreter

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1000

path, is_content, options = sys.argv[1], sys.argv[2] == "bytes", json.loads(sys.argv[3])
before, started = memory("RssAnon"), time.perf_counter()
with native_log_hidden():
    if is_content:
        with open(path, "rb") as file:
            model = file.read()
    else:
        model = path
    classifier = TextClassifier(model, num_threads=2, **options)
    classifier.classify("how do I find my card")
seconds = time.perf_counter() - started
print(json.dumps({"s": seconds, "anonymous": memory("RssAnon") - before, "rss": memory("VmRSS")}))
"""


def measure(model: Path, way: str) -> dict[str, float]:
    """Return seconds, anonymous MB and resident MB of one process."""
    options = {"weight_cache": False} if "interpreter" in way else {}
    command = [sys.executable, "-c", _CHILD, str(model), _WAYS[way], json.dumps(options)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Print a row for each way: medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{options.model.stat().st_size / 1e6:.1f} MB")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    for _ in range(options.runs):
        for way, rows in found.items():
            rows.append(measure(options.model, way))
    for way, rows in found.items():
        seconds, anonymous, rss = (statistics.median(row[key] for row in rows) for key in ("s", "anonymous", "rss"))
        print(f"{way:20} {seconds:.2f} s, anonymous +{anonymous:.0f} MB, resident {rss:.0f} MB")


if __name__ == "__main__":
    main()
