"""A stand-in for Coral's edgetpu_compiler: the same arguments, the same log, a file of the same form.

What it makes is one subgraph with one op `edgetpu-custom-op` in the place of all that come before the ops that stay on
the CPU, with tensors under the names and with the quantization that they had. The op's options are those that
`fake_edgetpu.c` reads.

Environment: FAKE_EDGETPU_TABLE, a file with the op's options, by default an empty table; FAKE_EDGETPU_CPU_OPS, how
many ops at the end stay on the CPU.
"""

import argparse
import os
import struct
from collections import Counter
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

CUSTOM_OP = b"edgetpu-custom-op"
LOG = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 812 ms.

Input model: {stem}.tflite
Input size: {size:.2f}KiB
Output model: {stem}_edgetpu.tflite
Output size: {compiled_size:.2f}KiB
On-chip memory used for caching model parameters: {size:.2f}KiB
On-chip memory remaining for caching model parameters: 7.50MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: {count}
Operation log: {stem}_edgetpu.log
See the operation log file for individual operation details.

Operator                       Count      Status

{rows}
Compilation child process completed within timeout period.
Compilation succeeded!
"""


def main() -> None:
    """Compiles; prints the log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--show_operations", action="store_true", required=True)
    parser.add_argument("--out_dir", type=Path, required=True)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    content = arguments.model.read_bytes()
    on_cpu = int(os.environ.get("FAKE_EDGETPU_CPU_OPS", "0"))
    compiled, statuses = compile_model(content, on_cpu)
    (arguments.out_dir / f"{arguments.model.stem}_edgetpu.tflite").write_bytes(compiled)
    rows = "\n".join(f"{op:<31}{count:<11}{status}" for (op, status), count in statuses.items())
    sizes = {"size": len(content) / 1024, "compiled_size": len(compiled) / 1024}
    print(LOG.format(stem=arguments.model.stem, count=statuses.total(), rows=rows, **sizes))


def compile_model(content: bytes, on_cpu: int) -> tuple[bytes, Counter[tuple[str, str]]]:
    """The compiled model, and what became of its ops: (op, status) -> count."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    [subgraph] = model.subgraphs
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    split = len(subgraph.operators) - on_cpu
    statuses = Counter(
        (names[model.operatorCodes[op.opcodeIndex].builtinCode], status)
        for ops, status in (
            (subgraph.operators[:split], "Mapped to Edge TPU"),
            (subgraph.operators[split:], "More than one subgraph is not supported"),
        )
        for op in ops
    )
    kept = subgraph.operators[split:]
    output = kept[0].inputs[0] if kept else subgraph.outputs[0]
    subgraph.operators = [_custom_op(model, subgraph.inputs, output, _options(subgraph.tensors[output])), *kept]
    _drop_unused(model, subgraph)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), statuses


def _options(output: schema.TensorT) -> bytes:
    table = os.environ.get("FAKE_EDGETPU_TABLE")
    size = 1
    for length in output.shape:
        size *= int(length)
    return Path(table).read_bytes() if table else struct.pack("<II", 0, size)


def _custom_op(model, inputs, output, options: bytes) -> schema.OperatorT:
    code = schema.OperatorCodeT()
    code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, CUSTOM_OP
    code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
    model.operatorCodes.append(code)
    op = schema.OperatorT()
    op.opcodeIndex = len(model.operatorCodes) - 1
    op.inputs, op.outputs, op.customOptions = list(inputs), [output], list(options)
    return op


def _drop_unused(model, subgraph) -> None:
    """Takes out tensors that no op has, and their weights."""
    used = sorted({int(i) for op in subgraph.operators for i in (*op.inputs, *op.outputs)})
    position = {old: new for new, old in enumerate(used)}
    subgraph.tensors = [subgraph.tensors[old] for old in used]
    for holder in (subgraph, *subgraph.operators):
        holder.inputs = [position[int(i)] for i in holder.inputs]
        holder.outputs = [position[int(i)] for i in holder.outputs]
    needed = {0, *(tensor.buffer for tensor in subgraph.tensors)}
    for number, buffer in enumerate(model.buffers):
        if number not in needed:
            buffer.data = None


if __name__ == "__main__":
    main()
