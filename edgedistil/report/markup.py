"""HTML and SVG as values: everything that is not `Markup` is text, and text is escaped.

Labels, texts and file names come from other people. A page that is built only of `element` calls cannot forget to
escape one of them.
"""

import html
import re
from collections.abc import Iterable

__all__ = ["Attribute", "Child", "Markup", "element", "joined", "number"]

_VOID = frozenset({"br", "link", "meta"})
# HTML allows no control characters except white space (https://infra.spec.whatwg.org/#noncharacter, #control).
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """HTML that is not escaped again.

    Example:
        >>> element("p", "a < b"), element("p", Markup("a &lt; b"))
        ('<p>a &lt; b</p>', '<p>a &lt; b</p>')
    """

    __slots__ = ()


Child = str | int | None
Attribute = str | int | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Returns one element.

    Args:
        name: `td`, `svg`, ...
        children: `Markup`, or text; `None` is left out.
        attributes: Attributes by name; a trailing underscore is dropped and others become hyphens. `None` and `False`
            are left out, `True` is an attribute without a value.

    Example:
        >>> element("b", "1 < 2", class_="x")
        '<b class="x">1 &lt; 2</b>'
    """
    opening = "".join([name, *(_attribute(key, value) for key, value in attributes.items())])
    if name in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Children one after another.

    Example:
        >>> joined([element("br"), "a & b", None])
        '<br>a &amp; b'
    """
    return Markup("".join(_markup(child) for child in children))


def number(value: float) -> str:
    """A coordinate with at most two decimals.

    Example:
        >>> number(2.5), number(3.0), number(1 / 3)
        ('2.5', '3', '0.33')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _markup(child: Child) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Markup) else _escaped(str(child))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = number(value) if isinstance(value, (int, float)) else value
    return f' {name}="{_escaped(text)}"'


def _escaped(text: str) -> str:
    return html.escape(_ILLEGAL.sub("\ufffd", text), quote=True)
