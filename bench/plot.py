"""One question as a plot: a bar a system, in groups of variants, with the spread of the rounds. SVG by hand, no library."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from statistics import median
from typing import Any

from bench.questions import Question
from bench.results import OURS

WIDTH, BAR, GAP, LEFT, RIGHT = 800, 18, 14, 310, 90
OUR_COLOUR, THEIR_COLOUR, INK, PALE = "#0b6e4f", "#9aa5b1", "#1f2933", "#52606d"


def plot(question: type[Question], result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Bars are medians; the thin line on each goes from the least round to the most."""
    groups: dict[str, dict[str, list[float]]] = {}
    for row in result["rows"]:
        if question.ratio in row:
            groups.setdefault(row["variant"], {}).setdefault(row["system"], []).append(row[question.ratio])
    most = max((max(values) for group in groups.values() for values in group.values()), default=1) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    y, drawn = 54, []
    for variant, group in groups.items():
        drawn.append(f'<text x="8" y="{y + 13}" fill="{INK}" font-weight="600">{escape(variant)}</text>')
        y += BAR + 2
        for system, values in group.items():
            middle = median(values)
            colour = OUR_COLOUR if system == OURS else THEIR_COLOUR
            drawn += [
                f'<text x="{LEFT - 8}" y="{y + 13}" fill="{INK}" text-anchor="end">{escape(titles.get(system, system))}</text>',
                f'<rect x="{LEFT}" y="{y + 2}" width="{middle * scale:.1f}" height="{BAR - 4}" fill="{colour}"/>',
                f'<line x1="{LEFT + min(values) * scale:.1f}" x2="{LEFT + max(values) * scale:.1f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}" '
                f'stroke="{INK}" stroke-width="1"/>',
                f'<text x="{LEFT + max(values) * scale + 6:.1f}" y="{y + 13}" fill="{PALE}">{middle:,.{2 if most < 20 else 0}f}</text>',
            ]
            y += BAR
        y += GAP
    better = "longer is better" if question.better == "more" else "shorter is better"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
            'font-family="sans-serif" font-size="12" role="img">',
            f"<title>{escape(question.title)}</title>",
            f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>',
            f'<text x="8" y="24" fill="{INK}" font-size="15" font-weight="600">{escape(question.title)}</text>',
            f'<text x="8" y="40" fill="{PALE}">{escape(question.unit)}; {better}</text>',
            *drawn,
            "</svg>\n",
        ]
    )
