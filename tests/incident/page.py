"""docs/incident.md and the output that it quotes.

python -m tests.incident.page      acts it out and puts its output into the page

A block of the page is a ``console`` fence with a command's or the story's output. Lines of ``[...]`` stand for what is
left out: what lies between them are the block's chunks, each of them whole lines of the output in their order.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.incident.conftest import Story, act

PAGE = Path(__file__).parents[2] / "docs" / "incident.md"
ROWS = 100_000  # the default of the command
SHOWN_STORE = "file:///srv/ca/incident/store"  # instead of where it was acted out
ELLIPSIS = "[...]"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VALUES = (
    (re.compile(r"file://\S*/store"), "STORE"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "SERIAL"),
    (re.compile(r"^(time|CPU|stored|history|peak memory|engine|engines|bytes|p256-sha256/s)(  +).*"), r"\1 VALUE"),
    (re.compile(r"zones with that offset then: .*\bAmerica/(Denver|Phoenix)\b.*"), "ZONES"),
    (re.compile(r"America/(Denver|Phoenix)"), "ZONE"),
    (re.compile(r"[+-]?\b\d\d:\d\d\b"), "HH:MM"),
    (re.compile(r"has run \d+ times"), "has run N times"),
    (re.compile(r"-?\b\d+[dhms](?: \d+[hms])*\b"), "LENGTH"),
    (re.compile(r"\(\d[\d,]* by [^)]*\)"), "(SHIFTS)"),
    (re.compile(r"^(read back .*; )\d+"), r"\1N"),
    (re.compile(r"parsed \d+"), "parsed N"),
    (re.compile(r"of which [\d,]+ octets were read"), "of which N octets were read"),  # by chance
)
# How many witnesses there are, and how many of them are revoked, is left to chance.
_CHANCE = (re.compile(r"^error time\.history-mismatch|^    \.\.\. "), re.compile(r"\d[\d,]*"))
_COUNT = re.compile(r"(?<!SHA-)\b(?!6,450\b)\d[\d,]*(?:\.\d+)?")


def chunks(page: str) -> Iterator[list[str]]:
    """Yield the lines of every chunk of a page that quote the story's output."""
    for block in _BLOCK.findall(page):
        for chunk in "".join(block).split(f"{ELLIPSIS}\n"):
            yield chunk.splitlines()


def normalised(line: str, *, counts: bool) -> str:
    """Return a line without what differs between two runs; `counts`: which both have the same number of rows."""
    for pattern, name in _VALUES:
        line = pattern.sub(name, line)
    if _CHANCE[0].match(line):
        line = _CHANCE[1].sub("N", line)
    if not counts:
        line = re.sub(" +", " ", _COUNT.sub("N", line))
    return line


def shown(story: Story) -> list[str]:
    """Return what a run has printed, as if its folder were ``incident``."""
    folder = re.escape(str(story.folder))
    text = re.sub(f"file://(?:{folder}|{re.escape(story.folder.as_uri()[7:])})/store", SHOWN_STORE, story.out)
    text = re.sub(f"'{folder}([^']*)'", r"incident\1", text)  # quoted for a shell, where it has spaces
    return text.replace(str(story.folder), "incident").splitlines()


def renewed(page: str, output: list[str]) -> str:
    """Return a page whose chunks hold these lines; a chunk is found by its first and its last line."""
    known = [normalised(line, counts=False) for line in output]
    at = 0
    for chunk in chunks(page):
        at = known.index(normalised(chunk[0], counts=False), at)
        end = known.index(normalised(chunk[-1], counts=False), at) + 1
        page = page.replace("\n".join(chunk), "\n".join(output[at:end]))
        at = end
    return page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        played = act(Path(folder) / "incident", ROWS, workers=0)
    if played.code:
        sys.exit(played.err)
    PAGE.write_text(renewed(PAGE.read_text(), shown(played)))
