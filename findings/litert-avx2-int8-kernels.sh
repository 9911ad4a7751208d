#!/bin/sh
# ai-edge-litert 2.3.0 (x86-64): with AVX2 and no VNNI, float activations times int8 weights have no kernel that multiplies
# bytes, while weights of 4 and of 2 bits have one.
#
# XNNPACK, LiteRT's delegate for CPUs, has two kinds of AVX2 kernels for matmuls of activations that are rounded at run time
# (`qd8`). Those that end in `avx2_madd` multiply bytes (VPMADDUBSW, 32 products an instruction); those that end in `avx2`
# widen both factors to 16 bits first (VPMADDWD, 16 products). The wheel has `avx2_madd` for 4 and 2 bits with a scale for
# each channel (`qc4w`, `qc2w`), and only `avx2` for 8 bits (`qc8w`) and for 4 bits in blocks (`qb4w`). So fewer bits are
# not only smaller there but can be faster than int8, and a scale for each block costs the faster kernel. Where VNNI is
# there, all of them multiply bytes. The script lists the kernels by their symbols.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ai-edge-litert==2.3.0
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util
import re
from pathlib import Path

[package] = importlib.util.find_spec("ai_edge_litert").submodule_search_locations
KERNEL = re.compile(rb"xnn_qd8_f32_(q[bc]\dw)_gemm_minmax_ukernel_\w+?__(avx2_madd|avx2|avxvnni)(?:_prfm)?\0")
kernels = {}
for library in Path(package).glob("*.so"):
    for weights, kind in KERNEL.findall(library.read_bytes()):
        kernels.setdefault(weights.decode(), set()).add(kind.decode())
for weights, kinds in sorted(kernels.items()):
    print(f"{weights}: {', '.join(sorted(kinds))}")
multiply_bytes = sorted(weights for weights, kinds in kernels.items() if "avx2_madd" in kinds)
is_as_described = multiply_bytes == ["qc2w", "qc4w"] and "avx2" in kernels["qc8w"] and "avx2" in kernels["qb4w"]
raise SystemExit(0 if is_as_described else "the behaviour has changed")
PYTHON
