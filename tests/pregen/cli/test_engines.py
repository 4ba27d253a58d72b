import pytest

from pregen.engines import make_key, signing_rate
from pregen.signers import ALGORITHMS, P256_SHA256, RSA2048_SHA256
from pregen.signers.software import SoftwareEngine
from tests.pki import DAY, make_responder
from tests.pki import make_key as make_rsa_key
from tests.pregen.cli.ca import Ca, Program


def test_every_engine_is_listed_with_why_it_does_not_work_here(pregen: Program) -> None:
    plain, found = pregen("engines"), pregen("engines", "--json").document["engines"]

    assert isinstance(found, list)
    assert [one["name"] for one in found] == ["multibuffer", "awslc", "software"]
    for one in found:
        assert one["available"] == (one["reason"] is None)
        assert one["signatures_per_second"] == {}
        line = next(line for line in plain.out.splitlines() if line.startswith(one["name"]))
        assert line.endswith("works" if one["available"] else one["reason"])
    assert found[-1] == {
        "name": "software",
        "available": True,
        "reason": None,
        "algorithms": list(ALGORITHMS),
        "signatures_per_second": {},
    }


def test_measured_are_signatures_a_second_of_what_works(pregen: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pregen.engines.signing_rate", lambda engine, algorithm: signing_rate(engine, algorithm, 0.02))

    found = pregen("engines", "--measure", "--json").document["engines"]
    lines = pregen("engines", "--measure").out

    assert isinstance(found, list)
    for one in found:
        assert set(one["signatures_per_second"]) == set(one["algorithms"] if one["available"] else ())
    rates = found[-1]["signatures_per_second"]
    assert rates[P256_SHA256.name] > rates[RSA2048_SHA256.name] > 50
    assert "signatures/s on one core" in lines


def test_a_rate_is_that_of_a_key_of_its_algorithm() -> None:
    for algorithm in ALGORITHMS.values():
        assert signing_rate(SoftwareEngine(), algorithm, 0.01) > 0
        assert SoftwareEngine().open(make_key(algorithm), algorithm)


def test_an_engine_that_cannot_do_the_work_is_refused_by_name_and_passed_over_by_auto(ca: Ca, pregen: Program) -> None:
    """RSA is with the engine `software` alone, whatever the CPU."""
    responder = make_responder(ca.issuer, key=make_rsa_key("rsa2048"), not_before=ca.now - DAY)
    responder.write(ca.folder, "ocsp")

    named, auto = (pregen("run", ca.config, "--engine", name, "--json") for name in ("multibuffer", "auto"))

    assert (named.code, named.error["code"]) == (2, "configuration")
    assert "engine multibuffer does not" in named.err
    assert "--engine auto" in named.err
    assert (auto.code, auto.document["engine"]) == (0, "software")
