"""Helpers of the tests of models in two parts."""

import os

import numpy as np
import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins for a child process are shell scripts")


def ids(*values):
    return np.array(values, np.int32)
