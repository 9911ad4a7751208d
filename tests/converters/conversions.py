"""What the tests of `convert_classifier` share."""

import pytest

from edgedistil_converters import QuantizationPlan, convert_classifier

FP32 = QuantizationPlan("fp32")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(error, message, *arguments, **options):
    with pytest.raises(error, match=message) as caught:
        convert_classifier(*arguments, **options)
    return caught.value
