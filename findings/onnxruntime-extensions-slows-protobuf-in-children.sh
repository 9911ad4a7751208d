#!/bin/sh
# onnxruntime-extensions 0.15.2: `import onnxruntime_extensions` makes protobuf slow in every child process, and imports
# transformers.
#
# An app imports the package for one path, `get_library_path()`, to register its tokenizers as custom ops. If onnx is
# installed, the import also loads the code that converts models. That code sets PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION to
# `python` in os.environ. In this process it comes too late, because onnx has loaded protobuf in C before. All child processes
# inherit it: `multiprocessing` with "spawn", a server's workers, TensorFlow in a subprocess; they parse every message in
# Python. The same import loads transformers, and with it PyTorch and scikit-learn, where they are installed. Without onnx
# in the environment neither happens.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
install onnxruntime-extensions==0.15.2 onnxruntime==1.32.0 protobuf==7.36.0 numpy==2.4.6
cat > "$folder/look.py" <<'PYTHON'
import subprocess
import sys

WHICH = "from google.protobuf.internal import api_implementation; print(api_implementation.Type())"


def in_child():
    return subprocess.run([sys.executable, "-c", WHICH], capture_output=True, text=True, check=True).stdout.strip()


before = in_child()
import onnxruntime_extensions

after = in_child()
print(f"protobuf in a child: {before} before the import, {after} after it; transformers: {'transformers' in sys.modules}")
expected = sys.argv[1] == "with"
is_as_described = before == "upb" and (after == "python") == expected and ("transformers" in sys.modules) == expected
raise SystemExit(0 if is_as_described else "the behaviour has changed")
PYTHON
cd "$folder"
env -u PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION "$folder/venv/bin/python" look.py without
install onnx==1.23.2 transformers==5.17.0 tokenizers==0.23.2
env -u PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION "$folder/venv/bin/python" look.py with
