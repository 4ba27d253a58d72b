"""How often answers are signed: what run and check say of it."""

from datetime import timedelta

import pytest

from tests.pregen.cli.ca import Ca, Program
from tests.pregen.cli.two import SECOND, Row, export, second_issuer


@pytest.mark.parametrize("command", ["check", "run"])
def test_how_many_nights_a_cycle_has_and_what_would_give_more_is_said(ca: Ca, pregen: Program, command: str) -> None:
    ended = pregen(command, ca.config)

    said = "1 night: each run signs all (strict, lifetime 4d); lifetime 5d would make it 2, 7d 3"
    assert [line.split(maxsplit=1)[1] for line in ended.out.splitlines() if line.startswith("cycle ")] == [said]
    assert ended.err == ""
    assert pregen(command, ca.config, "--json").document["cycle"] == [
        {
            "issuers": ["r1"],
            "profile": "strict",
            "lifetime": "4d",
            "every": "1d",
            "nights": 1,
            "in_time": True,
            "longer": [{"lifetime": "5d", "nights": 2}, {"lifetime": "7d", "nights": 3}],
        }
    ]


def test_issuers_of_one_lifetime_share_a_cycle_and_others_have_their_own(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    export(ca, [Row(1), Row(2, "r2")])
    assert [line for line in pregen("check", ca.config).out.splitlines() if line.startswith("cycle ")] == [
        "cycle       1 night: each run signs all (strict, lifetime 4d); lifetime 5d would make it 2, 7d 3"
    ]
    path = ca.configure(SECOND, refresh={"every": "12h"})
    path.write_text(path.read_text().replace('key = "ocsp2.key"', 'key = "ocsp2.key"\nvalidity.lifetime = "7d"'))

    ended = pregen("check", ca.config)

    first, second = [line.split(maxsplit=1)[1] for line in ended.out.splitlines() if line.startswith("cycle ")]
    assert first.startswith("3 runs of 12h for r1: each run signs one in 3 (strict, lifetime 4d); lifetime ")
    assert second == "6 runs of 12h for r2: each run signs one in 6 (strict, lifetime 7d)"


def test_answers_that_do_not_last_until_the_next_run_are_warned_of(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"lifetime": "16h"})

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0
    findings = ended.document["findings"]
    assert isinstance(findings, list)
    [finding] = findings
    assert finding["code"] == "refresh.late"
    assert "(every = '1d', and what a run takes)" in finding["message"]
    refresh_by, ends = (f"{ca.now + span:%Y-%m-%dT%H:%M:%SZ}" for span in (_hours(8), _hours(16)))
    assert finding["examples"][0].startswith(f"r1: newer answers are due by {refresh_by[:-4]}")
    assert ends[:-7] in finding["examples"][0]
    assert ended.document["cycle"][0]["in_time"] is False  # type: ignore[index]

    ca.configure(validity={"lifetime": "16h"}, refresh={"every": "1h"})
    assert pregen("run", ca.config).err == ""


def test_in_the_lab_nobody_is_warned(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"profile": "lab", "lifetime": "1h"})

    ended = pregen("check", ca.config)

    assert ended.err == ""
    assert "and too late: it does not last until the next run" in ended.out


def _hours(hours: int) -> timedelta:
    return timedelta(hours=hours, seconds=-1)
