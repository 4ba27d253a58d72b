"""What reports say of issuers that were left behind."""

from collections.abc import Sequence

from pregen import clock
from storage.manifest import LeftBehind


def left_behind_document(left: Sequence[LeftBehind]) -> list[dict[str, object]]:
    """Return issuers that were left behind as JSON has them."""
    return [
        {
            "name": one.name,
            "trouble": one.trouble,
            "as_of": None if one.as_of is None else clock.text(one.as_of),
            "left_out": one.left_out,
        }
        for one in left
    ]


def left_behind_lines(left: Sequence[LeftBehind]) -> list[str]:
    """Return a line for each issuer that was left behind.

    >>> left_behind_lines([LeftBehind(name="r2", trouble="its key is lost", as_of=None, left_out=3)])
    ['LEFT BEHIND r2: its key is lost; it has no answers, and 3 certificates have no right one']
    """
    return [_line(one) for one in left]


def _line(one: LeftBehind) -> str:
    stays = "it has no answers" if one.as_of is None else f"its answers are as of {clock.text(one.as_of)}"
    out = f", and {one.left_out:,} certificates have no right one" if one.left_out else ""
    return f"LEFT BEHIND {one.name}: {one.trouble}; {stays}{out}"
