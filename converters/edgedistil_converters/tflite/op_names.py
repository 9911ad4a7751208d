"""Names of TFLite's builtin ops."""

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as schema

__all__ = ["OP_NAMES"]

OP_NAMES: Mapping[int, str] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
"""Builtin code in a flatbuffer -> name: 9 -> `FULLY_CONNECTED`."""
