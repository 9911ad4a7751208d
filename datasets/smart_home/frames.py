"""The frames: ways to ask that any intent may use, written `<want>` in a template.

A frame is replaced by its wordings, as `(a|b)` is, so that a template counts as held out only if it differs from the
templates of training with all frames written out.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FRAMES"]

FRAMES: Mapping[str, str] = MappingProxyType(
    {
        "want": (
            "i want|i need|i'd like|we want|we need|i'd prefer|i'd rather have|can i have|could i have|can we have|"
            "could we have|may i have|can we get|let's have|let's get|i want to have|it would be nice to have|"
            "is it okay to have|we should have|i'd love"
        ),
        "wish": "i was hoping for|how about|what about|i feel like having|give me|get me|i wish i had|we'd enjoy",
        "must": "should be|must be|ought to be|could be|can be|better be|should really be|had better be",
        "ensure": "make sure that|ensure that|make certain|check that|take care that|be sure that|see to it that",
        "know": (
            "i want to know|tell me|can you say|do you know|i'd like to know|let me know|can you tell me|check|"
            "could you find out|i need to know|please tell us|any idea"
        ),
        "gerund": "would you mind|do you mind|how about|what about|any chance of|would you consider|i suggest",
    }
)
"""The wordings of each frame, separated by `|`."""
