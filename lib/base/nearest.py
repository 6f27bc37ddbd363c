"""The nearest known name, for messages about a wrong one."""

import difflib


def nearest(name: str, known) -> str:
    """'; the nearest is 'x'; known: ...' for a sentence about an unknown `name`."""
    known = sorted(str(one) for one in known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; the nearest known name is {close[0]!r}" if close else ""
    return f"{hint}; known: {', '.join(known) or 'none'}"


def ranked(name: str, known, most: int = 12) -> str:
    """The names in `known`, those most like `name` first, as text for an error message."""
    likeness = {other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio() for other in known}
    ranked = sorted(likeness, key=likeness.get, reverse=True)
    return ", ".join(ranked[:most]) + (f" and {len(ranked) - most} more" if len(ranked) > most else "")
