"""Whether signing was about as fast as the engines had been when they were chosen."""

from collections.abc import Mapping, Sequence

from pregen.errors import Finding
from pregen.issuers import Issuer
from pregen.signers import Choice, KeyUse

SLOWER = 2.0  # times the CPU time that the measured rate promises: other issuers, small shards and noise cost far less
LEAST_S = 2.0  # of CPU time spent on signing: shorter runs prove nothing


def pace_warning(
    rows: Mapping[int, int], issuers: Sequence[Issuer], choices: Mapping[KeyUse, Choice], signing_s: float
) -> tuple[Finding, ...]:
    """Return a warning where signing took far more CPU time than measured rates promise; none where none was measured.

    Args:
        rows: how many were signed, by the index of the issuer.
        issuers: as configured.
        choices: the engine of each key, and its rate.
        signing_s: seconds of CPU time that all workers spent on signing.
    """
    promised_s = 0.0
    rates: dict[str, float] = {}
    for at, count in rows.items():
        issuer = issuers[at]
        choice = choices[issuer.responder.use]
        rate = choice.rates.get(choice.engine)
        if rate is None:
            return ()
        promised_s += count * len(issuer.cert_ids) / rate
        rates[f"{issuer.responder.algorithm}: {choice.engine}"] = rate
    if not promised_s or signing_s < LEAST_S or signing_s <= SLOWER * promised_s:
        return ()
    examples = tuple(f"{name} made {rate:,.0f} signatures/s before the run" for name, rate in rates.items())
    text = (
        f"signing took {signing_s:,.1f} s of CPU time, {signing_s / promised_s:.1f} times the {promised_s:,.1f} s that "
        "the engines' measured rates promise: look whether other programs or virtual machines share these CPUs, or "
        "whether they were throttled, and compare with `pregen engines --measure`"
    )
    return (Finding("engine.slow", "warning", text, 1, examples),)
