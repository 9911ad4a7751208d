"""Runs a script with kernels for AVX2, LiteRT's and those of its peers, on an x86-64 processor that also has AVX-512.

    python benchmarks/without_avx512.py benchmarks/profile_ops.py MODEL.tflite

Runtimes choose kernels by the processor's features, and most have no switch for them. Here a copy of a package asks for
them by an illegal instruction instead of CPUID, and a signal handler answers without AVX-512, VNNI and AMX. The
instructions themselves run as ever, so times are those of this processor with its AVX2 kernels; a processor without
AVX-512 may have other clocks and caches. Linux; needs a C compiler and `objdump`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

# Folders of a package, and its libraries that choose kernels.
RUNTIMES = {
    ("ai_edge_litert",): ("ai_edge_litert/libpywrap_litert_common.so",),  # has XNNPACK and cpuinfo
    ("onnxruntime",): ("onnxruntime/capi/onnxruntime_pybind11_state.*.so",),
    ("ctranslate2", "ctranslate2.libs"): ("ctranslate2.libs/libctranslate2-*.so.*",),
    ("openvino",): ("openvino/libs/libopenvino.so.*", "openvino/libs/libopenvino_intel_cpu_plugin.so"),
}
_UNUSED = shutil.ignore_patterns("vendors", "*Accelerator*", "*_gpu_plugin*", "*_npu_plugin*")
_CPUID, _ILLEGAL = b"\x0f\xa2", b"\x0f\x0b"  # of the same length
_HANDLER = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Leaf 7 of CPUID: EBX, ECX and EDX of subleaf 0 (AVX-512, VNNI, GFNI, AMX); of subleaf 1, EAX bits and all of EDX. */
#define EBX_0 (1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31)
#define ECX_0 (1u << 1 | 1u << 6 | 1u << 8 | 1u << 11 | 1u << 12 | 1u << 14)
#define EDX_0 (1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25)
#define EAX_1 (1u << 4 | 1u << 5 | 1u << 23)

static void answer(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)registers[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0x0b) abort();
    unsigned leaf = registers[REG_RAX], subleaf = registers[REG_RCX], a = leaf, b, c = subleaf, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (leaf == 7 && subleaf == 0) { b &= ~EBX_0; c &= ~ECX_0; d &= ~EDX_0; }
    if (leaf == 7 && subleaf == 1) { a &= ~EAX_1; d = 0; }
    registers[REG_RAX] = a; registers[REG_RBX] = b; registers[REG_RCX] = c; registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, 0);
}
"""


def environment_without_avx512(site_packages: Path, folder: Path) -> dict[str, str]:
    """Copies the runtimes of an environment into a folder, with every CPUID of their libraries replaced.

    Args:
        site_packages: Folder of the installed packages; those of `RUNTIMES` that it lacks are left out.
        folder: Folder for the copies, which is kept and not copied into again.

    Returns:
        Variables for processes that import the copies and see a processor without AVX-512.
    """
    handler = folder / "handler.so"
    if not handler.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for names, libraries in RUNTIMES.items():
            if all((site_packages / name).is_dir() for name in names):
                for name in names:
                    shutil.copytree(site_packages / name, folder / name, ignore=_UNUSED)
                for library in libraries:
                    [path] = folder.glob(library)
                    _patch(path)
        source = folder / "handler.c"
        source.write_text(_HANDLER, encoding="utf-8")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", handler, source], check=True)
    return {
        "PYTHONPATH": str(folder.resolve()),
        "LD_PRELOAD": str(handler.resolve()),
        "EDGEDISTIL_KERNELS": "avx2",
        # PyTorch is too large to be searched for CPUID, and has switches.
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }


def main() -> int:
    """Runs the script; returns its exit status."""
    if len(sys.argv) == 1 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    found = importlib.util.find_spec("ai_edge_litert")
    if found is None or found.origin is None:
        raise SystemExit("ai-edge-litert is not installed.")
    with TemporaryDirectory(prefix="edgedistil-") as name:
        variables = environment_without_avx512(Path(found.origin).parent.parent, Path(name) / "packages")
        return subprocess.run([sys.executable, *sys.argv[1:]], env=os.environ | variables, check=False).returncode


def _patch(library: Path) -> None:
    """Replaces every CPUID of the library's code, at the places that a disassembler finds."""
    listing = subprocess.run(["objdump", "-d", library], check=True, capture_output=True, text=True).stdout
    headers = subprocess.run(["objdump", "-h", "-j", ".text", library], check=True, capture_output=True, text=True)
    _, _, address, _, offset = re.search(r"\.text((?:\s+[0-9a-f]+){4})", headers.stdout)[0].split()  # type: ignore[index]
    content = bytearray(library.read_bytes())
    for place in re.findall(r"^\s*([0-9a-f]+):\s.*\tcpuid\s*$", listing, re.MULTILINE):
        first = int(place, 16) - int(address, 16) + int(offset, 16)
        if content[first : first + 2] != _CPUID:
            raise SystemExit(f"No CPUID at {place} of {library.name}.")
        content[first : first + 2] = _ILLEGAL
    library.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
