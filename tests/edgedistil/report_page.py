"""Reads a page of the report, and checks what holds for every page."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """The elements of a page, with a check that they are nested."""

    VOID = ("meta", "link", "br")

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.tables, self.ids, self._open = [], {}, [], []
        self.words = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert len(found) == len(attributes), f"an attribute twice in {tag}"
        self.elements.append((tag, found, tuple(name for name, _ in self._open)))
        if "id" in found:
            self.ids.append(found["id"])
        if tag not in self.VOID:
            self._open.append((tag, found))
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data):
        names = [name for name, _ in self._open]
        if "style" not in names:
            self.words.append(data)
        if "caption" in names:
            self._caption += data
        elif "td" in names or "th" in names:
            self._rows[-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def table(self, start):
        [rows] = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return rows


def check_page(html):
    """What holds for every page, whatever is on it."""
    assert html.startswith("<!DOCTYPE html>")
    page = Page(html)
    for tag, attributes, parents in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "img", "base", "form", "image", "use")
        assert not [name for name in attributes if name.startswith("on")]
        assert "src" not in attributes and "xlink:href" not in attributes
        target = attributes.get("href", "#")
        assert target == "data:," or target.startswith("#")
        assert tag != "table" or parents[-1] == "div"
    [style] = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    assert "url(" not in style and "@import" not in style
    assert "url(" not in " ".join(attributes.get("style", "") for _, attributes, _ in page.elements)
    assert page.named("html") == [{"lang": "en"}]
    [policy] = [meta["content"] for meta in page.named("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")
    assert len(set(page.ids)) == len(page.ids)
    assert {link["href"][1:] for link in page.named("a")} <= set(page.ids)
    assert len(page.tables) == len(page.named("table")) == len(page.named("caption"))
    assert all("scope" in attributes for attributes in page.named("th"))
    for svg in page.named("svg"):
        assert svg.get("aria-hidden") == "true" or svg["role"] == "img"
        assert set(svg.get("aria-labelledby", "").split()) <= set(page.ids)
    for rows in page.tables.values():
        assert len({len(row) for row in rows}) == 1
    return page
