"""Certificates that end soon are told by `run` and `check`, in time to renew them."""

from datetime import timedelta

import pytest

from tests.pki import DAY, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Outcome, Program


def endings(ended: Outcome) -> list[list[str]]:
    assert ended.code == 0, ended.err
    findings = ended.document.get("findings", [])
    assert isinstance(findings, list)
    return [one["examples"] for one in findings if one["code"] == "certificate.ends"]


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("whose", ["responder", "issuer"])
@pytest.mark.parametrize("days", [13, 15])
def test_a_certificate_that_ends_within_14_days_is_told_before_it_caps_a_window(
    ca: Ca, pregen: Program, command: str, whose: str, days: int
) -> None:
    end = ca.now + days * DAY
    if whose == "issuer":
        ca.issuer = make_issuer(not_before=ca.now - 365 * DAY, not_after=end)
        ca.issuer.write(ca.folder, "issuer")
    later = ca.now + 60 * DAY if whose == "issuer" else end
    make_responder(ca.issuer, not_before=ca.now - DAY, not_after=later).write(ca.folder, "ocsp")

    ended = pregen(command, ca.config, "--json")

    assert "window.capped" not in ended.err
    if days == 15:
        assert endings(ended) == []
    else:
        [[example]] = endings(ended)
        assert example.startswith(f"r1: the {whose} certificate ends at {end:%Y-%m-%dT%H:%M:%SZ}, in 1")


def test_an_issuer_that_signs_itself_is_told_by_the_certificate_that_lives_longest(ca: Ca, pregen: Program) -> None:
    cross = make_issuer(key=ca.issuer.key, not_before=ca.now - 30 * DAY, not_after=ca.now + 3 * DAY)
    cross.write(ca.folder, "cross")
    changes = {"certificate": ["cross.pem", "issuer.pem"], "key": "issuer.key"}
    config = ca.configure(issuer=changes)
    config.write_text(config.read_text().replace('responder_certificate = "ocsp.pem"\n', ""))

    assert endings(pregen("check", config, "--json")) == []

    ca.issuer = make_issuer(key=ca.issuer.key, not_before=ca.now - DAY, not_after=ca.now + timedelta(days=5))
    ca.issuer.write(ca.folder, "issuer")
    [[example]] = endings(pregen("check", config, "--json"))
    assert example.startswith("r1: the issuer certificate ends at")
