"""Tables that read the same in Jupyter, in the README and in a terminal, and numbers as all of them show them."""

import textwrap
from html import escape
from itertools import zip_longest
from typing import NamedTuple

WIDTH = 52  # characters of a cell in a terminal


def number(value: float) -> str:
    """A number as tables show it: three decimals, or a power of ten where these would all be zero."""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.0e}"


def span(interval) -> str:
    """An interval as tables show it."""
    return f"[{number(interval[0])}, {number(interval[1])}]"


class Table(NamedTuple):
    """Rows to show: HTML in Jupyter, Markdown for the README, plain text elsewhere."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def _repr_html_(self):
        def line(cells, tag):
            cells = (f'<{tag} style="text-align:left">{escape(cell)}</{tag}>' for cell in cells)
            return f"<tr>{''.join(cells)}</tr>"

        return "<table>" + line(self.head, "th") + "".join(line(row, "td") for row in self.rows) + "</table>"

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

    def __repr__(self):
        lines = [[textwrap.wrap(cell, WIDTH) or [""] for cell in line] for line in [self.head, *self.rows]]
        widths = [max(len(text) for line in lines for text in line[k]) for k in range(len(self.head))]
        flat = [texts for line in lines for texts in zip_longest(*line, fillvalue="")]
        return "\n".join(
            "  ".join(text.ljust(w) for text, w in zip(texts, widths, strict=True)).rstrip() for texts in flat
        )
