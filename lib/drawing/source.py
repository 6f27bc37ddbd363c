"""The source of one function, shown in a notebook where it is the method that the notebook is about."""

import inspect
import textwrap
from collections.abc import Callable

SCREEN = 60  # lines: what a reader takes in without scrolling


def show(function: Callable):
    """The text of `function` as Markdown under a link to its file; ValueError if it is longer than a screen."""
    from IPython.display import Markdown

    place = function.__module__.replace(".", "/") + ".py"
    if not place.startswith("lib/"):
        raise ValueError(f"{function.__qualname__} lies in {function.__module__}, expected a function of lib")
    text = textwrap.dedent(inspect.getsource(function)).rstrip()
    if (count := len(text.splitlines())) > SCREEN:
        raise ValueError(f"{function.__qualname__} has {count} lines, expected at most {SCREEN}: a screen")
    return Markdown(f"[{place}](../{place}):\n\n```python\n{text}\n```")
