# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draws charts as inline SVG without scripts and styles; page.css sets colours and fonts.

A chart is 400 units wide, so that its 13-unit text is readable on a phone and not too large on a desktop. All functions
are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

try:
    import pygal
    from pygal.etree import etree
    from pygal.style import Style

    MISSING = False
except ImportError:  # the module reports that
    MISSING = True

WIDTH, LETTER = 400, 13
ROW = 26  # height of a bar and its gap
AXIS = 34  # height of an axis and its labels
ROOM = 1.42  # right of the longest bar, for its figure
LONGEST = 24  # characters of a label
DOT = 6
_DROPPED = ("defs", "title", "desc")
_DROPPED_CLASSES = ("background", "tooltip-overlay", "titles")


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its value, and its CSS colour; empty for the default colour."""

    label: str
    value: float
    color: str = ""


@dataclass(frozen=True)
class Dot:
    """An event at a moment (seconds since 1970)."""

    at: float
    color: str = ""


def bars(label: str, shown: Sequence[Bar], text: Callable[[float], str]) -> Markup:
    """Return horizontal bars, the first one on top; an empty text where there are none.

    Args:
        label: text for screen readers.
        shown: the bars.
        text: formats a value.
    """
    if not shown:
        return Markup("")
    chart = pygal.HorizontalBar(
        **_settings(len(shown) * ROW + 12),
        print_values=True,
        print_values_position="top",
        show_x_labels=False,
        show_x_guides=False,
        range=(0, max((bar.value for bar in shown), default=0) * ROOM or 1),
        margin_bottom=0,
        formatter=text,
    )
    # The chart begins at the bottom.
    chart.x_labels = [_short(bar.label) for bar in reversed(shown)]
    chart.add("", [_value(bar.value, bar.color) for bar in reversed(shown)])
    return _svg(chart, label)


def columns(label: str, shown: Sequence[Bar], text: Callable[[float], str]) -> Markup:
    """Return vertical bars, for years and other times; arguments as for `bars`."""
    chart = pygal.Bar(
        **_settings(190),
        print_values=True,
        print_values_position="top",
        show_y_labels=False,
        show_y_guides=False,
        range=(0, max((bar.value for bar in shown), default=0) * 1.15 or 1),
        formatter=text,
    )
    chart.x_labels = [bar.label for bar in shown]
    chart.add("", [_value(bar.value, bar.color) for bar in shown])
    return _svg(chart, label)


def timeline(
    label: str, lanes: Sequence[tuple[str, Sequence[Dot]]], until: float, text: Callable[[float, float], str]
) -> Markup:
    """Return dots on one line for each lane, from the first moment to the last.

    Args:
        label: text for screen readers.
        lanes: name and dots of each lane, the first one on top.
        until: the right end (seconds since 1970).
        text: formats a moment, given the length of the whole line in seconds.
    """
    moments = [dot.at for _, dots in lanes for dot in dots]
    first, last = min([*moments, until]), max([*moments, until])
    span = max(last - first, 60)
    ticks = [last - span, last - span / 2, last]
    chart = pygal.XY(
        **_settings(len(lanes) * 34 + AXIS),
        stroke=False,
        dots_size=DOT,
        xrange=(last - span * 1.04, last + span * 0.04),
        range=(0.5, len(lanes) + 0.5),
        show_x_guides=False,
        show_y_guides=True,
        margin_right=28,  # half of the last moment's text
    )
    chart.x_labels = [{"value": tick, "label": text(tick, span)} for tick in ticks]
    chart.y_labels = [{"value": len(lanes) - place, "label": name} for place, (name, _) in enumerate(lanes)]
    for place, (name, dots) in enumerate(lanes):
        chart.add(name, [_value((dot.at, len(lanes) - place), dot.color) for dot in dots])
    return _svg(chart, label)


def _settings(height: float) -> dict[str, Any]:
    return {
        "width": WIDTH,
        "height": height,
        "margin": 6,
        "spacing": 6,
        "css": [],
        "js": [],
        "no_prefix": True,
        "show_legend": False,
        "truncate_label": -1,
        # Only the size of these is used, to reserve space.
        "style": Style(label_font_size=LETTER, major_label_font_size=LETTER, value_font_size=LETTER),
    }


def _value(value: Any, color: str) -> dict[str, Any]:
    return {"value": value} | ({"color": color} if color else {})


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def _svg(chart: Any, label: str) -> Markup:
    """Return a chart without the parts that a page does not need."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if (
                callable(child.tag)  # a comment
                or child.tag in _DROPPED
                or any(name in child.get("class", "").split() for name in _DROPPED_CLASSES)
            ):
                parent.remove(child)
    root.attrib.pop("id", None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(etree.tostring(root, encoding="unicode"))  # noqa: S704 - it escapes what names hold
