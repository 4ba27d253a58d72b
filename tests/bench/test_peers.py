from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import ocsp

from bench.figure import BenchError, Figure, Result, Skipped
from bench.golang import CACHE, compile_program, go_missing, go_rates
from bench.peers import BUILDER, CREATE_RESPONSE, OURS, BuilderLoop, compare, measure_openssl, speed_rates
from bench.workload import Workload
from tests.bench.conftest import SPEED
from tests.judges.programs import judge


def figures(**values: float) -> list[Result]:
    names = {"ours": OURS, "go": CREATE_RESPONSE, "builder": BUILDER}
    return [Figure(name=names[name], group="g", title="t", value=value) for name, value in values.items()]


def rates(findings: Sequence[Result]) -> dict[str, float]:
    return {one.name: one.value for one in findings if isinstance(one, Figure)}


def test_our_rate_is_held_against_those_of_others() -> None:
    found = rates(list(compare(figures(ours=220_000, go=27_500, builder=44_000))))
    assert found == {"peers.over_go": 8, "peers.over_builder": 5}


def test_without_both_rates_there_is_no_ratio() -> None:
    assert not rates(list(compare(figures(ours=220_000))))
    assert not rates(list(compare(figures(go=27_500, builder=44_000))))


def test_the_builder_makes_what_we_make(published: Workload) -> None:
    loop = BuilderLoop(published.folder)
    loop.sign()
    loop.verify()
    parsed = ocsp.load_der_ocsp_response(loop.responses[0])
    assert parsed.hash_algorithm.name == "sha1"
    assert parsed.responder_key_hash
    assert len(parsed.certificates) == 1
    assert not list(parsed.extensions)


def test_a_wrong_response_of_the_builder_is_noticed(published: Workload) -> None:
    loop = BuilderLoop(published.folder)
    loop.sign()
    loop.responses[0], loop.responses[1] = loop.responses[1], loop.responses[0]
    with pytest.raises(InvalidSignature):
        loop.verify()


def test_openssl_speed_is_read() -> None:
    assert speed_rates(f"Doing something\n{SPEED}") == {
        "rsa2048": 4857.575758,
        "ecdsap256": 73103.030303,
        "ecdsap384": 2013.0,
        "ed25519": 45663.0,
    }
    assert speed_rates("+F4:7:521:100.0:50.0\n+F1:2:3") == {}


def test_openssl_itself_is_asked() -> None:
    judge("openssl")
    (figure,) = measure_openssl(1, ["ecdsap256"])
    assert isinstance(figure, Figure)
    assert figure.value > 100
    assert figure.note.startswith("OpenSSL ")


def test_an_openssl_that_prints_something_else_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openssl").write_text("#!/bin/sh\necho OpenSSL 9.9\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"ecdsap256 of OpenSSL 9\.9 has another form"):
        list(measure_openssl(1, ["ecdsap256"]))


def test_without_openssl_it_is_skipped_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (skipped,) = measure_openssl(1)
    assert isinstance(skipped, Skipped)
    assert "apt-get install openssl" in skipped.reason


def test_without_its_library_go_is_missing_and_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    judge("go")
    reason = go_missing(tmp_path / "absent")
    assert reason is not None
    assert "golang-golang-x-crypto-dev" in reason


@pytest.mark.slow  # on a fresh clone, Go compiles its library first; each run compiles Go's judge of responses
def test_go_refuses_to_measure_what_it_cannot_check(
    published: Workload, go_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := go_missing():
        pytest.skip(reason)
    monkeypatch.setenv(CACHE, str(go_cache))
    program = compile_program(tmp_path)
    assert go_rates(program, published.folder, 0.01).create_response > 100
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for name in ("issuer.pem", "ocsp.pem", "ocsp.key"):
        source = published.issuer if name == "ocsp.pem" else published.folder / name
        (stranger / name).write_bytes(source.read_bytes())
    with pytest.raises(BenchError, match="exit code 1"):
        go_rates(program, stranger, 0.01)
