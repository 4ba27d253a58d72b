"""One CA whose name is written in two encodings, or that has two keys: one row, and the answers that clients want."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from asn1crypto import ocsp
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from pregen.config import load_config
from pregen.generation.preparation import RunOptions, prepare
from pregen.generation.publication import publish_prepared
from pregen.generation.work.steps import Steps
from tests.pki import DAY, make_issuer, make_key, make_responder, write_certificates, write_key
from tests.pregen.cli.ca import Ca, Column, Outcome, Program, Value, instants, octets
from tests.pregen.cli.test_rollback import OvertakenStore

TYPES = {"printable": _ASN1Type.PrintableString, "utf8": _ASN1Type.UTF8String}


def name_in(encoding: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root R1", TYPES[encoding])])


@pytest.fixture
def two(ca: Ca) -> Ca:
    """A CA whose name two certificates of one key write in two encodings, each with a responder of its own."""
    key, signer = make_key(), make_key()
    life = ca.now - 365 * DAY, ca.now + 365 * DAY
    for encoding in TYPES:
        authority = make_issuer(name_in(encoding), key=key, not_before=life[0], not_after=life[1])
        authority.write(ca.folder, encoding)
        responder = make_responder(authority, key=signer, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
        write_certificates(ca.folder / f"ocsp-{encoding}.pem", responder)
    pems = [(ca.folder / f"ocsp-{encoding}.pem").read_text() for encoding in TYPES]
    (ca.folder / "ocsp-both.pem").write_text("".join(pems))
    write_key(ca.folder / "ocsp.key", signer)
    configure(ca)
    return ca


def configure(ca: Ca, **changes: Value) -> None:
    section = {"certificate": ["printable.pem", "utf8.pem"], "responder_certificate": "ocsp-both.pem", **changes}
    ca.configure(issuer=section)


def status(ca: Ca, pregen: Program, issuer: str, serial: int, *more: str) -> object:
    """Return what the store says to a client that has this certificate of the issuer; None where it says nothing."""
    ended = pregen("lookup", ca.store, "--issuer", ca.folder / issuer, f"--serial={serial:x}", "--json", *more)
    return None if ended.code == 4 else ended.document["status"]


def codes(ended: Outcome) -> set[str]:
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    return {finding["code"] for finding in findings}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_one_row_is_answered_under_both_encodings_of_a_name(
    two: Ca, pregen: Program, workers: int, hash_name: str
) -> None:
    two.configure(
        issuer={"certificate": ["printable.pem", "utf8.pem"], "responder_certificate": "ocsp-both.pem"},
        run={"workers": workers},
    )
    checked, ended = pregen("check", two.config, "--json"), pregen("run", two.config, "--json")

    assert (checked.code, ended.code) == (0, 0), ended.err
    for one in (checked, ended):
        counts = [one.document[name] for name in ("rows_in", "certificates", "again", "responses", "excluded")]
        assert counts == [3, 6, 3, 12, {}]
    assert "other-encoding" not in ended.err
    for issuer in ("printable.pem", "utf8.pem"):
        found = [status(two, pregen, issuer, serial, "--hash", hash_name) for serial in (0x11, 0x1234567890ABCDEF12)]
        assert found == ["good", "revoked"]
    assert pregen("verify", two.store, "--all").code == 0
    assert pregen("verify", "--config", two.config, "--all").code == 0


def test_what_is_revoked_urgently_is_revoked_under_a_name_that_is_new_in_the_next_run(two: Ca, pregen: Program) -> None:
    configure(two, certificate="printable.pem", responder_certificate="ocsp-printable.pem")
    assert pregen("run", two.config).code == 0
    assert pregen("revoke", two.config, "--issuer", "r1", "--serial", "11").code == 0
    configure(two)

    ended = pregen("run", two.config, "--json")

    assert ended.code == 0, ended.err
    assert [status(two, pregen, f"{one}.pem", 0x11) for one in TYPES] == ["revoked", "revoked"]


def test_each_answer_has_the_certificate_of_the_responder_that_names_the_issuer_so(two: Ca, pregen: Program) -> None:
    assert pregen("run", two.config).code == 0
    for encoding in TYPES:
        out = two.folder / f"{encoding}.der"
        pregen("lookup", two.store, "--issuer", two.folder / f"{encoding}.pem", "--serial", "11", "--out", out)
        response = ocsp.OCSPResponse.load(out.read_bytes())["response_bytes"]["response"].parsed
        (embedded,) = response["certs"]
        authority = x509.load_pem_x509_certificate((two.folder / f"{encoding}.pem").read_bytes())
        assert embedded["tbs_certificate"]["issuer"].dump() == authority.subject.public_bytes()


def test_a_responder_that_names_one_encoding_alone_is_a_warning(two: Ca, pregen: Program) -> None:
    configure(two, responder_certificate="ocsp-utf8.pem")

    ended = pregen("run", two.config, "--json")

    assert ended.code == 0, ended.err
    assert "responder.other-encoding" in ended.err
    assert [status(two, pregen, f"{one}.pem", 0x11) for one in TYPES] == ["good", "good"]
    assert pregen("verify", "--config", two.config, "--all").code == 0


@pytest.mark.parametrize("responder_id", ["by-key", "by-name"])
def test_an_issuer_that_signs_itself_is_named_as_clients_know_it(two: Ca, pregen: Program, responder_id: str) -> None:
    two.configure(name="own.toml")
    text = (two.folder / "own.toml").read_text()
    text = text.replace('"issuer.pem"', '["printable.pem", "utf8.pem"]')
    text = text.replace('responder_certificate = "ocsp.pem"\n', f'responder_id = "{responder_id}"\n')
    (two.folder / "own.toml").write_text(text.replace('"ocsp.key"', '"utf8.key"'))

    ended = pregen("run", two.folder / "own.toml")

    assert ended.code == 0, ended.err
    for encoding in TYPES:
        out = two.folder / f"{encoding}.der"
        pregen("lookup", two.store, "--issuer", two.folder / f"{encoding}.pem", "--serial", "11", "--out", out)
        data = ocsp.OCSPResponse.load(out.read_bytes())["response_bytes"]["response"].parsed["tbs_response_data"]
        authority = x509.load_pem_x509_certificate((two.folder / f"{encoding}.pem").read_bytes())
        if responder_id == "by-name":
            assert data["responder_id"].dump().endswith(authority.subject.public_bytes())


def test_rows_that_are_bad_repeated_expired_or_paired_add_up_under_two_names(two: Ca, pregen: Program) -> None:
    at, gone = two.now - timedelta(hours=1), two.now - timedelta(days=2)
    far = two.now + timedelta(days=9)
    two.export(
        serial=octets(5, 5, 6, 7, 7, 8, 9, 9),
        kind=pa.array([None, None, None, "precertificate", "end-entity", "precertificate", None, None]),
        status=pa.array([0, 0, 0, 1, 0, 0, 0, 0]),
        revoked_at=instants(None, None, None, at, None, None, None, None),
        not_after=instants(far, far, gone, far, far, far, far, far),
        needs_ocsp=pa.array([True] * 7 + [False]),
        reason=None,
    )
    ended = pregen("run", two.config, "--json")

    assert ended.code == 0, ended.err
    assert (ended.document["certificates"], ended.document["again"]) == (8, 4)
    assert ended.document["excluded"] == {"expired": 1, "joined-precertificate": 1, "no-ocsp": 1, "repeated": 1}
    assert ended.document["precertificates"] == {"joined": 1, "alone": 1, "differing": 1}
    for encoding in TYPES:
        found = [status(two, pregen, f"{encoding}.pem", serial) for serial in (5, 6, 7, 8, 9)]
        assert found == ["good", None, "revoked", "good", "good"]


def test_a_contradiction_is_counted_once_under_two_names(two: Ca, pregen: Program) -> None:
    at = two.now - timedelta(hours=1)
    two.export(serial=octets(5, 5, 6), status=pa.array([0, 1, 0]), revoked_at=instants(None, at, None), reason=None)

    ended = pregen("run", two.config, "--json")

    (finding,) = [one for one in ended.error["findings"] if one["code"] == "row.conflict"]  # type: ignore[attr-defined]
    assert (finding["count"], len(finding["examples"])) == (1, 1)


def test_a_second_encoding_that_is_added_is_no_growth(two: Ca, pregen: Program) -> None:
    """Nor is the order of the certificates a change of anything."""
    limits: Mapping[str, Value] = {"growth": {"share": 0.0, "count": 0}}
    one = {"certificate": "utf8.pem", "responder_certificate": "ocsp-utf8.pem"}
    two.configure(issuer=one, gates=limits)
    assert pregen("run", two.config).code == 0
    for order in (["printable.pem", "utf8.pem"], ["utf8.pem", "printable.pem"]):
        two.configure(issuer={"certificate": order, "responder_certificate": "ocsp-both.pem"}, gates=limits)
        ended = pregen("run", two.config, "--json")
        assert ended.code == 0, ended.out
    assert [status(two, pregen, f"{one}.pem", 0x11) for one in TYPES] == ["good", "good"]


def test_an_anchor_of_either_encoding_proves_the_rows(two: Ca, pregen: Program) -> None:
    # The responder is an issued certificate as any other one is.
    responder = x509.load_pem_x509_certificate((two.folder / "ocsp-utf8.pem").read_bytes())
    nb, na = responder.not_valid_before_utc, responder.not_valid_after_utc
    two.export(
        serial=octets(responder.serial_number, 5),
        status=pa.array([0, 0]),
        revoked_at=None,
        reason=None,
        not_before=pa.array([nb.replace(tzinfo=None)] * 2, pa.timestamp("s")),
        not_after=pa.array([na.replace(tzinfo=None)] * 2, pa.timestamp("s")),
    )
    zoned: Mapping[str, Value] = {
        "columns": {name: {"name": name, "zone": "UTC"} for name in ("not_before", "not_after")},
        "anchor": [{"certificate": "ocsp-utf8.pem"}],
    }
    section = {"certificate": ["printable.pem", "utf8.pem"], "responder_certificate": "ocsp-both.pem"}
    two.configure(issuer=section, snapshot=zoned)

    ended = pregen("run", two.config, "--json")

    assert ended.code == 0, ended.out


# Two keys


@pytest.fixture
def rolled(ca: Ca) -> Ca:
    """A CA with an old and a new key under one name, each with its responder."""
    for stem in ("old", "new"):
        authority = make_issuer(not_before=ca.now - 365 * DAY, not_after=ca.now + 365 * DAY)
        authority.write(ca.folder, stem)
        responder = make_responder(authority, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
        responder.write(ca.folder, f"ocsp-{stem}")
    return ca


def section(stem: str, name: Value, **more: Value) -> Mapping[str, Value]:
    return {
        "name": name,
        "certificate": f"{stem}.pem",
        "responder_certificate": f"ocsp-{stem}.pem",
        "key": f"ocsp-{stem}.key",
        **more,
    }


def identifier(folder: Path, stem: str) -> bytes:
    key = x509.load_pem_x509_certificate((folder / f"{stem}.pem").read_bytes()).public_key()
    return x509.SubjectKeyIdentifier.from_public_key(key).digest


def test_two_keys_in_one_section_are_refused_with_the_ways_to_tell_rows_apart(rolled: Ca, pregen: Program) -> None:
    rolled.configure(issuer=section("old", "r1", certificate=["old.pem", "new.pem"]))
    ended = pregen("check", rolled.config, "--json")
    assert (ended.code, codes(ended)) == (2, {"issuer.different-keys"})
    assert "issuer_key in [snapshot.columns]" in ended.out
    assert "also = " in ended.out

    rolled.configure(section("new", "r1"), issuer=section("old", "r1"))
    ended = pregen("check", rolled.config, "--json")
    assert codes(ended) == {"config.duplicate"}
    assert "issuer_key in [snapshot.columns]" in ended.out


@pytest.mark.parametrize("kind", ["binary", "hex", "number", "dictionary"])
def test_a_second_column_tells_the_keys_of_a_ca_apart(rolled: Ca, pregen: Program, kind: str) -> None:
    """A row without a key is one of the old key, because that section has the plain name."""
    old, new = (identifier(rolled.folder, stem) for stem in ("old", "new"))
    columns: Mapping[str, Column] = {
        "binary": pa.array([old, new, None], pa.binary()),
        "hex": pa.array([old.hex(), new.hex(), ""]),
        "number": pa.array([1, 2, None]),
        "dictionary": pa.array([old.hex(), new.hex(), None]).dictionary_encode(),
    }
    names = ["1", "2"] if kind == "number" else [old.hex(), new.hex()]
    rolled.configure(
        section("new", ["r1 of 2026", f"r1/{names[1]}"]),
        issuer=section("old", ["r1", f"r1/{names[0]}"]),
        snapshot={"columns": {"issuer_key": "AKI"}},
    )
    rolled.export(
        serial=octets(5, 6, 7),
        issuer=pa.array(["r1"] * 3),
        AKI=columns[kind],
        status=pa.array([0, 0, 0]),
        revoked_at=None,
        reason=None,
    )

    ended = pregen("run", rolled.config, "--json")

    assert ended.code == 0, ended.out
    found = {stem: [status(rolled, pregen, f"{stem}.pem", one) for one in (5, 6, 7)] for stem in ("old", "new")}
    assert found == {"old": ["good", None, "good"], "new": [None, "good", None]}


def test_a_key_that_nobody_configured_is_named_with_its_issuer(rolled: Ca, pregen: Program) -> None:
    rolled.configure(section("new", "r1/2"), issuer=section("old", "r1/1"))
    rolled.export(
        serial=octets(5, 6),
        issuer=pa.array(["r1"] * 2),
        issuer_key=pa.array(["1", "3"]),
        status=pa.array([0, 0]),
        revoked_at=None,
        reason=None,
    )

    ended = pregen("run", rolled.config, "--json")

    assert (ended.code, "row.issuer.unknown" in codes(ended)) == (3, True)
    assert "r1/3" in ended.out


@pytest.mark.parametrize("through_import", [False, True])
def test_rows_that_nothing_tells_apart_are_answered_under_both_keys_where_that_is_asked_for(
    rolled: Ca, pregen: Program, *, through_import: bool
) -> None:
    at = rolled.now - timedelta(hours=1)
    rolled.configure(section("new", "r1-new", also="r1"), issuer=section("old", "r1"))
    rolled.export(
        serial=octets(5, 6, 7),
        issuer=pa.array(["r1", "r1", "r1-new"]),
        status=pa.array([0, 1, 0]),
        revoked_at=instants(None, at, None),
        reason=None,
    )
    more: tuple[object, ...] = ()
    if through_import:
        assert pregen("import", rolled.config, "--out", rolled.folder / "imported").code == 0
        more = ("--snapshot", rolled.folder / "imported")

    ended = pregen("run", rolled.config, "--json", *more)

    assert ended.code == 0, ended.out
    assert (ended.document["certificates"], ended.document["again"]) == (5, 2)
    found = {stem: [status(rolled, pregen, f"{stem}.pem", one) for one in (5, 6, 7)] for stem in ("old", "new")}
    assert found == {"old": ["good", "revoked", None], "new": ["good", "revoked", "good"]}


def test_the_row_of_one_key_contradicts_the_one_that_is_answered_under_both(rolled: Ca, pregen: Program) -> None:
    at = rolled.now - timedelta(hours=1)
    rolled.configure(section("new", "r1-new", also="r1"), issuer=section("old", "r1"))
    rolled.export(
        serial=octets(5, 5),
        issuer=pa.array(["r1", "r1-new"]),
        status=pa.array([0, 1]),
        revoked_at=instants(None, at),
        reason=None,
    )
    ended = pregen("run", rolled.config, "--json")
    assert (ended.code, codes(ended)) == (3, {"row.conflict"})


def publish_new_alone(rolled: Ca, pregen: Program) -> None:
    """Publish a row of r1 under the new key; after that the old key is configured again, for the same rows."""
    rolled.configure(issuer=section("new", ["r1", "r1-new"]))
    rolled.export(
        serial=octets(5, 6), issuer=pa.array(["r1"] * 2), status=pa.array([0, 0]), revoked_at=None, reason=None
    )
    assert pregen("run", rolled.config).code == 0


def test_what_is_revoked_urgently_is_revoked_under_an_old_key_that_comes_back(rolled: Ca, pregen: Program) -> None:
    publish_new_alone(rolled, pregen)
    assert pregen("revoke", rolled.config, "--issuer", "r1", "--serial", "5").code == 0
    rolled.configure(section("new", "r1-new", also="r1"), issuer=section("old", "r1"))

    ended = pregen("run", rolled.config)

    assert ended.code == 0, ended.err
    assert [[status(rolled, pregen, f"{one}.pem", n) for one in ("old", "new")] for n in (5, 6)] == [
        ["revoked"] * 2,
        ["good"] * 2,
    ]


def test_what_is_revoked_while_the_run_works_that_brings_an_old_key_back_is_revoked_under_both(
    rolled: Ca, pregen: Program
) -> None:
    publish_new_alone(rolled, pregen)
    alone = rolled.config.read_text()
    rolled.configure(section("new", "r1-new", also="r1"), issuer=section("old", "r1"))
    prepared = prepare(load_config(rolled.config), RunOptions(workers=1))
    rolled.config.write_text(alone)

    def revoke() -> None:
        assert pregen("revoke", rolled.config, "--issuer", "r1", "--serial", "5").code == 0

    store = OvertakenStore(prepared.store, revoke)
    publish_prepared(replace(prepared, store=store), Steps(), lambda *_: None)

    assert [[status(rolled, pregen, f"{one}.pem", n) for one in ("old", "new")] for n in (5, 6)] == [
        ["revoked"] * 2,
        ["good"] * 2,
    ]


@pytest.mark.parametrize("also", ["lost", "r2", "r1-new"])
def test_rows_of_another_ca_are_never_answered(rolled: Ca, pregen: Program, also: str) -> None:
    stranger = make_issuer("Another CA", not_before=rolled.now - DAY, not_after=rolled.now + 365 * DAY)
    stranger.write(rolled.folder, "stranger")
    make_responder(stranger, not_before=rolled.now - DAY, not_after=rolled.now + 60 * DAY).write(
        rolled.folder, "ocsp-stranger"
    )
    rolled.configure(section("stranger", "r2"), section("new", "r1-new", also=also), issuer=section("old", "r1"))
    ended = pregen("check", rolled.config, "--json")
    assert (ended.code, codes(ended)) == (2, {"issuer.also"})
