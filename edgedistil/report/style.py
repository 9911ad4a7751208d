"""Colours and style sheet of the page, light and dark; a test checks the contrast of every pair of text and background.

Colour is never the only carrier: series have shapes and names, shares have numbers or tooltips, changes have signs.
"""

from collections.abc import Mapping

__all__ = ["DARK", "LIGHT", "RAMP_STEPS", "SERIES", "contrast", "style_sheet", "variables"]

SERIES = 6  # colours of models, and shapes; a seventh model begins again
RAMP_STEPS = {"s": 8, "b": 4, "w": 4}  # shares; better and worse than the reference

LIGHT: Mapping[str, str] = {
    "surface": "#ffffff",
    "card": "#f6f7f9",
    "ink": "#16191d",
    "muted": "#565d66",
    "line": "#d3d8de",
    "share": "#0b4f94",
    "better": "#0b4f94",
    "worse": "#a34700",
    "m1": "#0b5cad",
    "m2": "#b45309",
    "m3": "#0f766e",
    "m4": "#7c3aed",
    "m5": "#be123c",
    "m6": "#57534e",
}
DARK: Mapping[str, str] = {
    "surface": "#12151a",
    "card": "#1a1e25",
    "ink": "#e9ecf0",
    "muted": "#a3acb8",
    "line": "#38404b",
    "share": "#8cc4fa",
    "better": "#8cc4fa",
    "worse": "#f7b27a",
    "m1": "#6db3f2",
    "m2": "#f2a65a",
    "m3": "#4fc3b0",
    "m4": "#b79cff",
    "m5": "#ff8fa3",
    "m6": "#c9c2bb",
}
# Opacity of the colour over the background, by step; on each, dark or light text is legible.
_OPACITIES = {
    "s": (0.07, 0.15, 0.24, 0.33, 0.41, 0.49, 0.86, 1.0),
    "b": (0.1, 0.22, 0.36, 0.48),
    "w": (0.1, 0.22, 0.36, 0.48),
}
_RAMPS = {"s": "share", "b": "better", "w": "worse"}


def variables(theme: Mapping[str, str]) -> dict[str, str]:
    """All colours of a theme by CSS variable: its own, the steps of its ramps (`s1`) and the text on those (`ts1`).

    Example:
        >>> variables(LIGHT)["ts8"]  # white text on the darkest step
        '#ffffff'
    """
    found = dict(theme)
    for ramp, color in _RAMPS.items():
        for step, opacity in enumerate(_OPACITIES[ramp], start=1):
            ground = _blend(theme["surface"], theme[color], opacity)
            found[f"{ramp}{step}"] = ground
            found[f"t{ramp}{step}"] = max((theme["ink"], theme["surface"]), key=lambda ink: contrast(ink, ground))
    return found


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).

    Example:
        >>> contrast("#000000", "#ffffff")
        21.0
    """
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def style_sheet() -> str:
    """The page's CSS.

    Example:
        >>> "prefers-color-scheme: dark" in style_sheet()
        True
    """
    return "\n".join(
        [
            f":root {{ color-scheme: light dark; {_declarations(LIGHT)} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_declarations(DARK)} }} }}",
            _RULES.strip(),
            *_ramp_rules(),
            *(f".m{i} {{ fill: var(--m{i}); stroke: var(--m{i}); }}" for i in range(1, SERIES + 1)),
            f"@media print {{ :root {{ color-scheme: light; {_declarations(LIGHT)} }} }}",
            _PRINT.strip(),
        ]
    )


def _declarations(theme: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in variables(theme).items())


def _ramp_rules() -> list[str]:
    rules = []
    for ramp, steps in RAMP_STEPS.items():
        for step in range(1, steps + 1):
            name = f"{ramp}{step}"
            rules.append(f"rect.{name} {{ fill: var(--{name}); }} text.{name} {{ fill: var(--t{name}); }}")
            rules.append(f"td.{name} {{ background: var(--{name}); color: var(--t{name}); }}")
    return rules


def _channels(color: str) -> tuple[int, ...]:
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def _blend(ground: str, color: str, opacity: float) -> str:
    pairs = zip(_channels(ground), _channels(color), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * opacity):02x}" for a, b in pairs)


def _luminance(color: str) -> float:
    """Relative luminance (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(color))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 70rem; background: var(--surface); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .35rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .35rem; overflow-wrap: anywhere; }
p { margin: .35rem 0 .75rem; max-width: 46rem; }
a { color: var(--m1); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: 1rem 0 0; }
nav a { display: inline-block; padding: .2rem 0; }
.muted, caption, figcaption, .note { color: var(--muted); }
.note { font-size: .9rem; }
.scroll { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--line); border-radius: .5rem; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid var(--m1); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; width: 100%; }
caption span { position: sticky; left: .65rem; display: inline-block; max-width: min(66rem, calc(100vw - 3.5rem));
  overflow-wrap: anywhere; }
caption { text-align: left; padding: .5rem .65rem; font-size: .9rem; caption-side: top; }
th, td { padding: .35rem .65rem; text-align: right; border-top: 1px solid var(--line); vertical-align: top; }
thead th { vertical-align: bottom; white-space: nowrap; background: var(--card); }
thead th:first-child { position: sticky; left: 0; z-index: 1; }
thead th.wraps { white-space: normal; overflow-wrap: anywhere; min-width: 6.5rem; }
th.name, td.name { text-align: left; }
tbody th { font-weight: 600; text-align: left; overflow-wrap: anywhere;
  min-width: min(11.5rem, 38vw); max-width: min(18rem, 42vw); position: sticky; left: 0; background: var(--surface); }
.model { display: inline-flex; align-items: baseline; gap: .35rem; max-width: 100%; text-align: left; }
.model svg { flex: none; }
.model bdi { overflow-wrap: anywhere; min-width: 0; }
td.zero { color: var(--muted); }
td.words { text-align: left; overflow-wrap: anywhere; min-width: 9rem; }
td.digest { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .78rem; text-align: left;
  overflow-wrap: anywhere; min-width: 10rem; }
td.number { white-space: nowrap; }
.facts th { width: 11rem; }
.narrow tbody th { min-width: 5rem; }
.badge { display: inline-block; font-weight: 400; font-size: .75rem; color: var(--muted); border: 1px solid var(--line);
  border-radius: 1rem; padding: 0 .5rem; }
figure { margin: .75rem 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
svg { display: block; color: var(--ink); font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
svg.plot { width: 100%; max-width: 34rem; height: auto; }
svg.bars { width: 100%; max-width: 44rem; height: auto; }
svg.map { max-width: none; margin: .75rem; }
svg.mark { display: inline-block; width: .9rem; height: .9rem; align-self: center; }
svg text { fill: var(--ink); stroke: none; }
svg .soft { fill: var(--muted); }
svg .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg .axis { stroke: var(--muted); stroke-width: 1; fill: none; }
svg .reference { stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
svg .whisker { stroke-width: 1.5; fill: none; opacity: .75; }
svg .curve { stroke-width: 2; fill: none; }
svg .halo { paint-order: stroke; stroke: var(--surface); stroke-width: 4px; stroke-linejoin: round; }
svg .outlined { stroke: var(--muted); stroke-width: .5; }
svg .leader { stroke: var(--muted); stroke-width: .75; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; padding: 0; margin: .5rem 0;
  font-size: .9rem; }
.legend li { overflow-wrap: anywhere; }
details { margin: .75rem 0; }
summary { cursor: pointer; padding: .35rem 0; font-weight: 600; }
footer { margin-top: 2.5rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size: .9rem;
  color: var(--muted); }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 0 1.5rem;
  align-items: start; }
@media (max-width: 30rem) { h1 { font-size: 1.35rem; } th, td { padding: .35rem .5rem; } }
"""
_PRINT = """
@media print {
  html { font-size: 9.5pt; }
  body { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav { display: none; }
  .scroll { overflow: visible; border: 0; }
  table { font-size: 7.5pt; }
  th, td { padding: .15rem .25rem; }
  thead th, td.number { white-space: normal; }
  tbody th, td.words, td.digest, thead th.wraps, thead th:first-child { min-width: 0; max-width: none;
    position: static; }
  .pair, .side { grid-template-columns: 1fr 1fr; }
  caption span { position: static; max-width: none; }
  details > :not(summary) { display: none; }
  svg.map { max-width: 100%; height: auto; margin: 0; }
  figure, tr { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
}
"""
