"""Mathematics as drawings: TeX between dollars becomes SVG when the page is built, so that no script and no font is
needed to read it. matplotlib's own reader of TeX does the work."""

import re
from html import escape

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath

SIZE = 16  # units an em
LETTERS = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}


def svg(tex: str, block: bool = False) -> str:
    """A formula as inline SVG in the colour of the text around it, the TeX as its description; one on a line of its
    own is cut at \\quad, so that a narrow screen can break it. ValueError quotes what cannot be read."""
    pieces = re.split(r"\\quad\s*", tex.strip()) if block else [tex.strip()]
    drawn = "".join(_one(" ".join(piece.split())) for piece in pieces if piece)
    return f'<span class="formula block">{drawn}</span>' if block else f'<span class="formula">{drawn}</span>'


def _one(tex: str) -> str:
    try:
        outline = TextPath((0, 0), f"${tex}$", size=SIZE, prop=FontProperties(math_fontfamily="stix"))
    except ValueError as error:
        raise ValueError(f"the formula ${tex}$ cannot be drawn: {str(error).strip().splitlines()[-1]}") from error
    points = outline.vertices * [1, -1]
    low, high = points.min(0) - 1, points.max(0) + 1
    width, height = high - low
    commands = "".join(
        LETTERS[code]
        + " ".join(f"{number:.2f}" for number in np.asarray(numbers) * np.tile([1, -1], len(numbers) // 2))
        if code != Outline.CLOSEPOLY
        else "Z"
        for numbers, code in outline.iter_segments(simplify=False, curves=True)
    )
    style = f"width:{width / SIZE:.2f}em;height:{height / SIZE:.2f}em;vertical-align:{-high[1] / SIZE:.2f}em"
    box = f"{low[0]:.2f} {low[1]:.2f} {width:.2f} {height:.2f}"
    return f'<svg role="img" aria-label="{escape(tex)}" viewBox="{box}" style="{style}"><path d="{commands}"/></svg>'
