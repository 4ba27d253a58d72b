"""What reports say of how often answers are signed."""

from collections.abc import Sequence
from datetime import timedelta

from pregen.generation.cycles import SharedCycle
from pregen.validity import duration_text

_NIGHT = timedelta(days=1)
_SHOWN = 5


def cycles_document(cycles: Sequence[SharedCycle]) -> list[dict[str, object]]:
    """Return cycles as JSON has them."""
    return [
        {
            "issuers": list(one.issuers),
            "profile": one.profile,
            "lifetime": duration_text(one.lifetime),
            "every": duration_text(one.every),
            "nights": one.cycle.nights,
            "in_time": one.cycle.is_in_time,
            "longer": [
                {"lifetime": duration_text(lifetime), "nights": nights} for lifetime, nights in one.cycle.longer
            ],
        }
        for one in cycles
    ]


def cycle_rows(cycles: Sequence[SharedCycle]) -> list[tuple[str, object]]:
    """Return a row for each cycle, those of most issuers first.

    >>> from pregen.validity.cycles import Cycle
    >>> days = [timedelta(days=n) for n in range(8)]
    >>> cycle = Cycle(nights=1, is_in_time=True, longer=((days[5], 2), (days[7], 3)))
    >>> shared = SharedCycle(issuers=("r1",), profile="strict", lifetime=days[4], every=days[1], cycle=cycle)
    >>> cycle_rows([shared])
    [('cycle', '1 night: each run signs all (strict, lifetime 4d); lifetime 5d would make it 2, 7d 3')]
    """
    rows: list[tuple[str, object]] = [("cycle", _text(one, len(cycles) > 1)) for one in cycles[:_SHOWN]]
    more = len(cycles) - len(rows)
    return [*rows, ("cycle", f"{more:,} other ones (--json lists all)")] if more else rows


def _text(one: SharedCycle, is_one_of_several: bool) -> str:
    nights, is_nightly = one.cycle.nights, one.every == _NIGHT
    unit = ("night" if is_nightly else "run") + "s" * (nights > 1)
    how = f" of {duration_text(one.every)}" if not is_nightly else ""
    signs = "each run signs all" if nights == 1 else f"each run signs one in {nights}"
    whose = ""
    if is_one_of_several:
        whose = f" for {one.issuers[0]}" + (f" and {len(one.issuers) - 1:,} more" if len(one.issuers) > 1 else "")
    text = f"{nights:,} {unit}{how}{whose}: {signs} ({one.profile}, lifetime {duration_text(one.lifetime)})"
    if not one.cycle.is_in_time:
        text += ", and too late: it does not last until the next run"
    if one.cycle.longer:
        (first, gained), *others = ((duration_text(lifetime), nights) for lifetime, nights in one.cycle.longer)
        text += f"; lifetime {first} would make it {gained:,}"
        text += "".join(f", {lifetime} {nights:,}" for lifetime, nights in others)
    return text
