"""Arrays as graph constants that are stored once, however many signatures read them.

A `tf.constant` inside a traced function is one copy for every function, and a graph with several copies of a large
embedding passes the 2 GB that a protocol buffer can hold. An eager tensor that functions capture is stored once.
"""

import weakref
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["shared_constant"]

_tensors: dict[int, Any] = {}  # id of an array that is alive -> its eager tensor


def shared_constant(array: NDArray[Any]) -> Any:
    """Returns the eager tensor of an array: the same tensor for the same array object, as long as the array lives.

    Example:
        >>> array = np.ones(3, np.float32)
        >>> shared_constant(array) is shared_constant(array)
        True
    """
    key = id(array)
    if key not in _tensors:
        with tf.init_scope():  # eager even while a function is being traced
            _tensors[key] = tf.constant(np.ascontiguousarray(array))
        weakref.finalize(array, _tensors.pop, key, None)
    return _tensors[key]
