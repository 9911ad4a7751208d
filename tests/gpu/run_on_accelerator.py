"""Runs signatures of a model on an accelerator.

    python tests/gpu/run_on_accelerator.py model.tflite gpu inputs.npz outputs.npz

`inputs.npz` has an array `signature/input` for each input, whose first axis is the calls; `outputs.npz` has the same
form. Prints a JSON object on stdout; LiteRT's log on stderr names the adapter that it chose.
"""

import json
import sys
from collections import defaultdict

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, GpuOptions, HardwareAccelerator, Options

ACCELERATORS = {
    "cpu": HardwareAccelerator.CPU,
    "gpu": HardwareAccelerator.GPU,
    "gpu+cpu": HardwareAccelerator.GPU | HardwareAccelerator.CPU,
}


def main(model: str, accelerator: str, inputs_path: str, outputs_path: str) -> None:
    """Run all calls and write their outputs."""
    options = Options(hardware_accelerators=ACCELERATORS[accelerator], gpu_options=GpuOptions(enforce_f32=True))
    by_signature = defaultdict(dict)
    for name, values in np.load(inputs_path).items():
        signature, name = name.split("/", 1)
        by_signature[signature][name] = values
    try:
        compiled = CompiledModel.from_file(model, options=options)
    except RuntimeError as error:
        print(json.dumps({"error": str(error)}))
        return
    outputs = {}
    for signature, inputs in by_signature.items():
        outputs |= {f"{signature}/{name}": values for name, values in run(compiled, signature, inputs).items()}
    np.savez(outputs_path, **outputs)
    print(json.dumps({"error": None, "is_fully_accelerated": compiled.is_fully_accelerated()}))


def run(compiled, signature, inputs):
    """Return each output of all calls, stacked."""
    index = compiled.get_signature_index(signature)
    names = compiled.get_signature_list()[signature]
    taken = dict(zip(names["inputs"], compiled.create_input_buffers(index), strict=True))
    given = dict(zip(names["outputs"], compiled.create_output_buffers(index), strict=True))
    details = compiled.get_output_tensor_details(signature)
    shapes = {name: tuple(details[name]["shape"]) for name in given}
    found = defaultdict(list)
    for call in range(len(next(iter(inputs.values())))):
        for name, values in inputs.items():
            taken[name].write(np.ascontiguousarray(values[call]))
        compiled.run_by_name(signature, taken, given)
        for name, buffer in given.items():
            values = buffer.read(int(np.prod(shapes[name])), np.dtype(str(details[name]["dtype"])))
            found[name].append(np.array(values).reshape(shapes[name]))
    return {name: np.stack(values) for name, values in found.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
