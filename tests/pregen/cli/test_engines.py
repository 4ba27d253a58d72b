import pytest

from pregen.signers import ALGORITHMS, P256_SHA256, RSA2048_SHA256
from tests.pki import DAY, make_key, make_responder
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
    monkeypatch.setattr("pregen.engines.MEASURE_S", 0.01)

    found = pregen("engines", "--measure", "--json").document["engines"]
    lines = pregen("engines", "--measure").out

    assert isinstance(found, list)
    for one in found:
        assert set(one["signatures_per_second"]) == set(one["algorithms"] if one["available"] else ())
    rates = found[-1]["signatures_per_second"]
    assert rates[P256_SHA256.name] > rates[RSA2048_SHA256.name] > 50
    assert "signatures/s on one core" in lines


def test_an_engine_that_cannot_do_the_work_is_refused_by_name_and_passed_over_by_auto(ca: Ca, pregen: Program) -> None:
    """Ed25519 is nothing for the engine `awslc`, whatever the CPU."""
    responder = make_responder(ca.issuer, key=make_key("ed25519"), not_before=ca.now - DAY)
    responder.write(ca.folder, "ocsp")

    named, auto = (pregen("run", ca.config, "--engine", name, "--json") for name in ("awslc", "auto"))

    assert (named.code, named.error["code"]) == (2, "configuration")
    assert "engine awslc does not" in named.err
    assert "--engine auto" in named.err
    assert auto.code == 0
    assert auto.document["engine"] != "awslc"
