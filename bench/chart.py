"""The chart of the README: what one core signs in a second, Pregen's whole way beside others, as SVG.

Sober, on a transparent ground, in greys and one blue that are readable on white and on black; the same octets for the
same figures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from bench.figure import Figure, Finding

OURS, THEIRS, INK = "#2f81f7", "#8b949e", "#768390"
WIDTH, HEIGHT, MARGIN = 8.0, 0.36, 0.7  # inches: of the chart, of a bar, of all else
HEADROOM = 1.14  # for the number behind the longest bar
# name of the figure, text beside its bar; of the first three, the first that was measured is drawn
WHOLE = (
    ("pipeline.p256.multibuffer.rate", "Pregen, whole run"),
    ("pipeline.p256.awslc.rate", "Pregen, whole run (awslc)"),
    ("pipeline.p256.software.rate", "Pregen, whole run (software)"),
)
OTHERS = (
    ("raw.p256-sha256.multibuffer", "libcrypto_mb, signatures alone"),
    ("peers.openssl.ecdsap256", "openssl speed, signatures alone"),
    ("peers.cryptography.builder", "cryptography OCSPResponseBuilder"),
    ("peers.go.p256", "Go ecdsa, signatures alone"),
    ("peers.go.create_response", "Go x/crypto/ocsp CreateResponse"),
)


class Bar(NamedTuple):
    """One bar: its text, its rate, and whether it is ours."""

    title: str
    rate: float
    ours: bool


def bars(findings: Sequence[Finding]) -> list[Bar]:
    """Return the bars of what was measured, ours first; none where ours or all others are missing."""
    found: Mapping[str, float] = {one.name: one.value for one in findings if isinstance(one, Figure)}
    ours = [Bar(title, found[name], ours=True) for name, title in WHOLE if name in found][:1]
    others = [Bar(title, found[name], ours=False) for name, title in OTHERS if name in found]
    return [*ours, *others] if ours and others else []


def draw(findings: Sequence[Finding], title: str, path: Path) -> bool:
    """Write the chart; return whether there was anything to draw."""
    drawn = bars(findings)
    if drawn:
        # Text stays text, and names of clip paths do not change from one time to the next.
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pregen", "font.size": 10}):
            _canvas(drawn, title).savefig(path, format="svg", transparent=True, metadata={"Date": None})
    return bool(drawn)


def _canvas(drawn: Sequence[Bar], title: str) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, HEIGHT * len(drawn) + MARGIN), layout="constrained")
    FigureCanvasSVG(canvas)
    axes = canvas.subplots()
    rates, colours = [bar.rate for bar in drawn], [OURS if bar.ours else THEIRS for bar in drawn]
    made = axes.barh([bar.title for bar in drawn], rates, color=colours, height=0.66)
    axes.bar_label(made, labels=[f"{rate:,.0f}" for rate in rates], padding=4, color=INK)
    axes.set_title(title, loc="left", color=INK, fontsize=10)
    axes.set_xlim(0, max(rates) * HEADROOM)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.spines[:].set_visible(False)
    return canvas
