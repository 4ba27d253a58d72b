"""`inspect`, `lookup` and `verify` mark what is overdue or has run out, and say it by exit code where asked."""

from datetime import timedelta

import pytest

from tests.pki import DAY, make_responder
from tests.pregen.cli.ca import GOOD, Ca, Program, instants

HOUR = timedelta(hours=1)


def publish(ca: Ca, pregen: Program, ago: timedelta, *, ends: bool = False) -> None:
    """Publish under `lab` as if so much time had passed since; `ends`: all certificates have ended an hour ago."""
    then = ca.now - ago
    make_responder(ca.issuer, not_before=then - DAY, not_after=ca.now + 60 * DAY).write(ca.folder, "ocsp")
    ca.configure(validity={"profile": "lab", "lifetime": "4d", "end_with_certificate": ends})
    ca.export(as_of=then, not_after=instants(*[ca.now - HOUR] * 3) if ends else None)
    assert pregen("run", ca.config, "--now", f"{then:%Y-%m-%dT%H:%M:%SZ}").code == 0


def words_of(ca: Ca, command: str) -> list[object]:
    asked = ["--issuer", ca.pem, "--serial", f"{GOOD:x}"] if command == "lookup" else []
    return [command, ca.store, *asked]


@pytest.mark.parametrize("command", ["inspect", "lookup", "verify"])
@pytest.mark.parametrize(("hours", "mark"), [(1, None), (49, "OVERDUE"), (97, "EXPIRED")])
def test_what_is_overdue_or_has_run_out_is_marked_and_is_exit_code_8_where_asked(
    ca: Ca, pregen: Program, command: str, hours: int, mark: str | None
) -> None:
    publish(ca, pregen, hours * HOUR)
    words = words_of(ca, command)

    plain, strict = pregen(*words), pregen(*words, "--strict")

    assert (plain.code, strict.code) == (0, 8 if mark else 0)
    assert [one for one in ("OVERDUE", "EXPIRED") if one in plain.out][-1:] == ([mark] if mark else [])
    told = pregen(*words, "--strict", "--json")
    assert told.code == strict.code
    state = {None: "fresh", "OVERDUE": "overdue", "EXPIRED": "expired"}[mark]
    if command == "lookup":
        assert told.document["state"] == ("expired" if mark == "EXPIRED" else "current")
        assert told.document["is_overdue"] is (mark is not None)
    else:
        assert told.document["state"] == state


def test_an_inspection_names_the_issuer(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, 49 * HOUR)

    ended = pregen("inspect", ca.store)
    (issuer,) = pregen("inspect", ca.store, "--json").document["issuers"]  # type: ignore[misc]

    assert "issuer r1: OVERDUE, all of its answers hold until" in ended.out
    assert (issuer["names"], issuer["state"], issuer["is_overdue"]) == (["r1"], "overdue", True)  # type: ignore[has-type]
    assert issuer["responder_certificate_ends"]  # type: ignore[has-type]


def test_what_ends_with_its_certificate_is_not_stale_but_a_lookup_says_that_it_is_over(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, 24 * HOUR, ends=True)

    for command in ("inspect", "verify"):
        ended = pregen(*words_of(ca, command), "--strict")
        assert ended.code == 0, command
        assert "EXPIRED" not in ended.out
        assert "verify.expired" not in ended.err
    ended = pregen(*words_of(ca, "lookup"), "--strict")
    assert ended.code == 8
    assert "as it ends with its certificate" in ended.out
