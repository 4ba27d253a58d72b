"""What gates said, as lines for people."""

from collections.abc import Mapping

from pregen import clock


def gate_lines(gates: Mapping[str, object]) -> list[str]:
    """Return what gates said, a line each, and one for those that were skipped for the same reason.

    `gates` may come from a store, where others may have written it.

    >>> gate_lines({"shrink": {"outcome": "passed", "figures": {"before": 3000, "vanished": 0}}})
    ['gate shrink: passed (before 3,000, vanished 0)']
    """
    lines = []
    skipped: dict[str, list[str]] = {}
    for name, result in gates.items():
        members = result if isinstance(result, dict) else {}
        figures = members.get("figures")
        given = dict(figures) if isinstance(figures, dict) else {}
        if members.get("outcome") == "skipped":
            skipped.setdefault(str(given.get("why", "unknown")), []).append(name)
            continue
        shown = ", ".join(_figure(*one) for one in given.items() if one[1] is not None)
        lines.append(f"gate {name}: {members.get('outcome', 'unknown')}" + (f" ({shown})" if shown else ""))
        acceptances = members.get("acceptances")
        lines += [
            f"    {one.get('gate')} accepted by {one.get('user')}: {one.get('reason')}"
            for one in (acceptances if isinstance(acceptances, list) else ())
            if isinstance(one, dict)
        ]
    return [*lines, *(f"gates skipped: {', '.join(names)} ({why})" for why, names in skipped.items())]


def _figure(name: str, value: object) -> str:
    if isinstance(value, dict) and name == "excluded":  # the number first: "status 40" is a code to some
        return f"excluded {', '.join(f'{count:,} rows: {why}' for why, count in value.items()) or 'none'}"
    if isinstance(value, dict):
        return f"{name.replace('_', ' ')} {', '.join(_figure(*one) for one in value.items()) or 'none'}"
    if isinstance(value, int) and name.endswith("_s"):
        name, value = name.removesuffix("_s"), clock.length_text(value)
    return f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"
