"""One issuer cannot sign, and the others are published without it."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.name import _ASN1Type

from storage.commits import find_head
from storage.reader import Generation
from storage.stores.local import LocalStore
from tests.pki import DAY, make_issuer, make_key, make_responder
from tests.pregen.cli.ca import Ca, Outcome, Program
from tests.pregen.cli.two import SECOND, Row, codes, export, second_issuer

R1, R2 = 1_000, 2_000  # the first serials of the issuers
HOUR = timedelta(hours=1)


def rows(ca: Ca, *more: Row, revoked: Sequence[int] = ()) -> list[Row]:
    """Return ten certificates of each issuer, of which one is revoked; some more, and some revoked now."""
    at = ca.now - 30 * DAY
    usual = [Row(first + number, name) for first, name in ((R1, "r1"), (R2, "r2")) for number in range(10)]
    every = [*usual, *more]
    return [
        row._replace(revoked_at=at if row.serial in {R1, R2} else ca.now - HOUR, reason=1)
        if row.serial in {R1, R2, *revoked}
        else row
        for row in every
    ]


@pytest.fixture
def two(ca: Ca, pregen: Program) -> Ca:
    """A CA of two issuers whose answers are published; the second one may be left behind, and its key is lost since."""
    second_issuer(ca)
    configure(ca)
    export(ca, rows(ca), as_of=ca.now - 2 * HOUR)
    assert pregen("run", ca.config).code == 0
    (ca.folder / "ocsp2.key").rename(ca.folder / "lost.key")
    return ca


def configure(ca: Ca, **refresh: str) -> None:
    ca.configure({**SECOND, "on_trouble": "leave-behind"}, refresh=refresh)


def found(pregen: Program, ca: Ca, issuer: Path, serial: int) -> str:
    """Return what the store says of a certificate: its status and when that was signed; or nothing."""
    ended = pregen("lookup", ca.store, "--issuer", issuer, "--serial", f"0x{serial:x}", "--json")
    if ended.code == 4:
        return "nothing"
    assert ended.code == 0, ended.err
    return str(ended.document["status"])


def left(ended: Outcome) -> list[dict[str, object]]:
    listed = ended.document["left_behind"]
    assert isinstance(listed, list)
    return listed


def test_the_others_are_published_and_what_is_newly_revoked_is_never_good(two: Ca, pregen: Program) -> None:
    new = [Row(R1 + 50, "r1"), Row(R2 + 50, "r2")]
    export(two, rows(two, *new, revoked=[R1 + 1, R2 + 1]))

    ended = pregen("run", two.config, "--json")

    assert ended.code == 8, ended.err
    [one] = left(ended)
    assert (one["name"], one["left_out"]) == ("r2", 2)
    assert "lost" not in str(one["trouble"])
    assert "ocsp2.key: the key cannot be read" in str(one["trouble"])
    assert one["as_of"] == f"{two.now - 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert ended.document["certificates"] == 20
    assert ended.document["excluded"] == {"left-behind": 2}
    assert "warning issuer.left-behind: " in ended.err
    assert "warning issuer.left-out: " in ended.err
    assert "1 are newly revoked" in ended.err
    assert f"{R2 + 1:x} of r2" in ended.err.lower().replace(":", "")
    issuers = {R1: two.pem, R2: two.folder / "other.pem"}
    said = {
        first: [found(pregen, two, pem, first + number) for number in (0, 1, 2, 50)] for first, pem in issuers.items()
    }
    assert said == {R1: ["revoked", "revoked", "good", "good"], R2: ["revoked", "nothing", "good", "nothing"]}
    assert pregen("verify", two.store, "--all").code == 0
    assert left(pregen("inspect", two.store, "--json")) == left(ended)
    status = pregen("status", two.store)
    assert status.code == 2
    assert "r2 was left behind, because it cannot sign: " in status.out


def test_as_soon_as_it_can_sign_again_nothing_is_left(two: Ca, pregen: Program) -> None:
    new = [Row(R1 + 50, "r1"), Row(R2 + 50, "r2")]
    export(two, rows(two, *new, revoked=[R2 + 1]))
    assert pregen("run", two.config).code == 8
    assert pregen("run", two.config).code == 8
    (two.folder / "lost.key").rename(two.folder / "ocsp2.key")

    ended = pregen("run", two.config, "--json")

    assert ended.code == 0, ended.err
    assert left(ended) == []
    assert ended.document["certificates"] == 22
    pem = two.folder / "other.pem"
    assert [found(pregen, two, pem, R2 + number) for number in (0, 1, 2, 50)] == ["revoked", "revoked", "good", "good"]
    assert "left behind" not in pregen("status", two.store).out
    assert pregen("verify", two.store, "--all").code == 0


def test_what_was_left_out_does_not_become_good_again_while_its_issuer_cannot_sign(two: Ca, pregen: Program) -> None:
    export(two, rows(two, revoked=[R2 + 1]))
    assert pregen("run", two.config).code == 8
    export(two, rows(two))

    ended = pregen("run", two.config, "--json")

    assert ended.code == 8
    assert left(ended)[0]["left_out"] == 1
    assert left(ended)[0]["as_of"] == f"{two.now - 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert found(pregen, two, two.folder / "other.pem", R2 + 1) == "nothing"


@pytest.mark.parametrize("words", [(), ("--full",)])
def test_its_records_stay_though_all_others_are_signed(two: Ca, pregen: Program, words: tuple[str, ...]) -> None:
    two.configure({**SECOND, "on_trouble": "leave-behind"}, validity={"lifetime": "5d"})
    export(two, rows(two))

    ended = pregen("run", two.config, "--json", *words)

    assert ended.code == 8, ended.err
    assert ended.document["signed"]["all"] == 10  # type: ignore[index]
    assert ended.document["carried"] == 10
    assert left(ended)[0]["left_out"] == 0
    assert pregen("status", two.store).code == 1


def test_what_a_gate_refuses_stops_all(two: Ca, pregen: Program) -> None:
    export(two, [row for row in rows(two) if row.serial < R2 + 3])
    two.configure({**SECOND, "on_trouble": "leave-behind"}, gates={"shrink": {"share": 0.01, "count": 1}})

    ended = pregen("run", two.config, "--json")

    assert ended.code == 3
    assert codes(ended) == ["shrink.vanished"]


def test_by_default_one_issuer_stops_all(two: Ca, pregen: Program) -> None:
    two.configure(SECOND)

    assert pregen("run", two.config).code == 2


def test_an_issuer_that_never_had_answers_has_none(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    configure(ca)
    (ca.folder / "ocsp2.key").unlink()
    export(ca, rows(ca))

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 8, ended.err
    assert (left(ended)[0]["as_of"], left(ended)[0]["left_out"]) == (None, 10)
    assert ended.document["certificates"] == 10
    assert pregen("verify", ca.store, "--all").code == 0


def test_a_check_names_who_would_be_left_behind(two: Ca, pregen: Program) -> None:
    ended = pregen("check", two.config)

    assert ended.code == 0
    assert "LEFT BEHIND r2: " in ended.out
    assert "warning issuer.left-behind: " in ended.err


def test_what_an_urgent_change_revoked_stays_revoked(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    configure(ca)
    export(ca, rows(ca), as_of=ca.now - 2 * HOUR)
    assert pregen("run", ca.config).code == 0
    revoked = ("--issuer", "r2", "--serial", f"0x{R2 + 1:x}")
    assert pregen("revoke", ca.config, *revoked, "--reason", "keyCompromise").code == 0
    (ca.folder / "ocsp2.key").rename(ca.folder / "lost.key")
    assert pregen("revoke", ca.config, "--issuer", "r2", "--serial", f"0x{R2 + 2:x}").code == 2
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"0x{R1 + 2:x}").code == 0
    export(ca, rows(ca, revoked=[R2 + 3]))

    first = pregen("run", ca.config, "--json")
    second = pregen("run", ca.config, "--full", "--json")

    for ended in (first, second):
        assert ended.code == 8, ended.err
        assert left(ended)[0]["left_out"] == 1
    pem = ca.folder / "other.pem"
    assert [found(pregen, ca, pem, R2 + number) for number in range(4)] == ["revoked", "revoked", "good", "nothing"]
    assert found(pregen, ca, ca.pem, R1 + 2) == "revoked"
    (ca.folder / "lost.key").rename(ca.folder / "ocsp2.key")
    assert pregen("run", ca.config).code == 0
    assert [found(pregen, ca, pem, R2 + number) for number in range(4)] == ["revoked", "revoked", "good", "revoked"]
    assert pregen("verify", ca.store, "--all").code == 0


@pytest.mark.parametrize("kept", ["the certificate", "the key"])
def test_answers_of_the_responder_before_stay_where_the_next_one_cannot_sign(
    two: Ca, pregen: Program, kept: str
) -> None:
    """Its responder was exchanged, and the new key does not open; or the new certificate has ended already."""
    other = make_issuer("Another CA", key=two_key(two), not_before=two.now - 400 * DAY, not_after=two.now + 365 * DAY)
    ends = two.now + 60 * DAY if kept == "the certificate" else two.now - HOUR
    renewed = make_responder(other, "Example OCSP 2", not_before=two.now - DAY, not_after=ends)
    renewed.write(two.folder, "ocsp2")
    if kept == "the certificate":
        (two.folder / "ocsp2.key").unlink()
    export(two, rows(two, revoked=[R2 + 1]))

    ended = pregen("run", two.config, "--json")

    assert ended.code == 8, ended.err
    assert ended.document["carried"] >= 9  # type: ignore[operator]
    pem = two.folder / "other.pem"
    assert [found(pregen, two, pem, R2 + number) for number in range(3)] == ["revoked", "nothing", "good"]
    assert pregen("verify", two.store, "--all").code == 0


def two_key(ca: Ca) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key((ca.folder / "other.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_when_its_certificate_has_ended_its_answers_have_run_out_and_stay(ca: Ca, pregen: Program) -> None:
    ca.profile = "lab"
    second_issuer(ca)
    make_responder(  # of the first issuer, which lives longer than that of the second one
        ca.issuer, not_before=ca.now - DAY, not_after=ca.now + 300 * DAY
    ).write(ca.folder, "ocsp")
    ca.configure(
        {**SECOND, "on_trouble": "leave-behind"}, validity={"lifetime": "90d"}, snapshot={"keep_expired": "all"}
    )
    export(ca, rows(ca))
    assert pregen("run", ca.config).code == 0
    later = ca.now + 70 * DAY
    export(ca, rows(ca, revoked=[R1 + 1, R2 + 1]), as_of=later)

    ended = pregen("run", ca.config, "--json", "--now", later.isoformat())

    assert ended.code == 8, ended.err
    assert "ocsp2.pem: expired at " in str(left(ended)[0]["trouble"])
    assert left(ended)[0]["left_out"] == 1
    assert ended.document["next_update"] == f"{later + 90 * DAY - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    assert ended.document["certificates"] == 19


def test_a_responder_that_is_about_to_end_leaves_no_window_either(two: Ca, pregen: Program) -> None:
    (two.folder / "lost.key").rename(two.folder / "ocsp2.key")
    other = make_issuer("Another CA", key=two_key(two), not_before=two.now - 400 * DAY, not_after=two.now + 365 * DAY)
    make_responder(other, not_before=two.now - DAY, not_after=two.now + HOUR).write(two.folder, "ocsp2")
    export(two, rows(two))

    ended = pregen("run", two.config, "--json")

    assert ended.code == 8, ended.err
    assert "renew the certificate" in str(left(ended)[0]["trouble"])
    assert ended.document["carried"] == 20


def test_windows_of_another_profile_stay_as_they_are(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    second = {**SECOND, "on_trouble": "leave-behind"}
    ca.configure(second, validity={"profile": "mozilla", "lifetime": "10d", "end_with_certificate": True})
    export(ca, rows(ca))
    assert pregen("run", ca.config).code == 0
    (ca.folder / "ocsp2.key").unlink()
    ca.configure(second, validity={"profile": "strict", "lifetime": "4d"})

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 8, ended.err
    assert ended.document["carried"] == 10
    assert pregen("verify", ca.store, "--all").code == 0


def test_under_all_of_its_names_and_keys_an_issuer_is_left_behind_and_counted_once(ca: Ca, pregen: Program) -> None:
    """The second issuer has two encodings of its name, and answers for the rows of the first one as well."""
    numbers = (0, 1, 2, 50)
    names = [
        x509.Name([x509.NameAttribute(one.oid, one.value, kind) for one in ca.issuer.certificate.subject])
        for kind in (_ASN1Type.PrintableString, _ASN1Type.UTF8String)
    ]
    key, signer = make_key(), make_key()
    life = ca.now - 365 * DAY, ca.now + 365 * DAY
    for name, file in zip(names, ("printable", "utf8"), strict=True):
        authority = make_issuer(name, key=key, not_before=life[0], not_after=life[1])
        authority.write(ca.folder, file)
    responder = make_responder(authority, key=signer, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
    responder.write(ca.folder, "ocsp2")
    second = {
        **SECOND,
        "certificate": ["printable.pem", "utf8.pem"],
        "also": "r1",
        "empty": True,
        "on_trouble": "leave-behind",
    }
    ca.configure(second)
    usual = [row for row in rows(ca) if row.issuer == "r1"]
    export(ca, usual)
    first = pregen("run", ca.config, "--json")
    assert first.code == 0, first.err
    assert (first.document["certificates"], first.document["again"]) == (30, 20)
    (ca.folder / "ocsp2.key").unlink()
    export(ca, [*rows(ca, revoked=[R1 + 1])[:10], Row(R1 + 50, "r1")])

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 8, ended.err
    assert (ended.document["certificates"], ended.document["again"]) == (11 + 9 + 9, 18)
    assert ended.document["excluded"] == {}
    assert [(one["name"], one["left_out"]) for one in left(ended)] == [("r2", 4)]
    for pem in (ca.folder / "printable.pem", ca.folder / "utf8.pem"):
        said = [found(pregen, ca, pem, R1 + number) for number in numbers]
        assert said == ["revoked", "nothing", "good", "nothing"]
    assert [found(pregen, ca, ca.pem, R1 + number) for number in numbers] == [
        "revoked",
        "revoked",
        "good",
        "good",
    ]
    assert pregen("verify", ca.store, "--all").code == 0


def test_a_revocation_that_vanishes_within_a_limit_stays_with_its_record(two: Ca, pregen: Program) -> None:
    two.configure({**SECOND, "on_trouble": "leave-behind"}, gates={"unrevoke": 1, "shrink": {"share": 1, "count": 99}})
    export(two, [row for row in rows(two) if row.serial != R2])

    for _ in range(2):
        ended = pregen("run", two.config, "--json")
        assert ended.code == 8, ended.err
        assert found(pregen, two, two.folder / "other.pem", R2) == "revoked"


def test_a_verification_against_the_snapshot_names_what_was_left_out(two: Ca, pregen: Program) -> None:
    export(two, rows(two))
    assert pregen("run", two.config).code == 8
    assert pregen("verify", two.store, "--against", two.config).code == 0
    export(two, rows(two, revoked=[R2 + 1]))
    assert pregen("run", two.config).code == 8

    ended = pregen("verify", two.store, "--against", two.config)

    assert ended.code == 6
    assert f"{R2 + 1:x}" in ended.err


@pytest.mark.parametrize("algorithm", ["p256", "p384"])
def test_records_of_several_responders_stay_each_as_it_was_signed(ca: Ca, pregen: Program, algorithm: str) -> None:
    """The shards are signed by one responder, an urgent change by the next one, whose key is lost then."""
    second_issuer(ca)
    configure(ca)
    export(ca, rows(ca), as_of=ca.now - 2 * HOUR)
    assert pregen("run", ca.config).code == 0
    other = make_issuer("Another CA", key=two_key(ca), not_before=ca.now - 400 * DAY, not_after=ca.now + 365 * DAY)
    key = make_key("p384" if algorithm == "p384" else "p256")
    renewed = make_responder(other, "Example OCSP 2", key=key, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
    renewed.write(ca.folder, "ocsp2")
    urgent = ("--issuer", "r2", "--serial", f"0x{R2 + 1:x}", "--serial", f"0x{R2 + 4:x}")
    assert pregen("revoke", ca.config, *urgent, "--reason", "keyCompromise").code == 0
    (ca.folder / "ocsp2.key").rename(ca.folder / "lost.key")
    export(ca, rows(ca, revoked=[R2 + 3, R2 + 4]))
    pem = ca.folder / "other.pem"

    for words in ((), (), ("--full",)):
        ended = pregen("run", ca.config, "--json", *words)

        assert ended.code == 8, ended.err
        assert left(ended)[0]["left_out"] == 1
        said = [found(pregen, ca, pem, R2 + number) for number in range(6)]
        assert said == ["revoked", "revoked", "good", "nothing", "revoked", "good"]
        assert found(pregen, ca, ca.pem, R1 + 2) == "good"
        verified = pregen("verify", ca.store, "--all")
        assert verified.code == 0, verified.err

    (ca.folder / "lost.key").rename(ca.folder / "ocsp2.key")
    ended = pregen("run", ca.config, "--json")
    assert ended.code == 0, ended.err
    assert [found(pregen, ca, pem, R2 + number) for number in range(4)] == ["revoked", "revoked", "good", "revoked"]
    tables = [loaded.tables for loaded in current(ca).tables.values()]
    issuers = [stored for one in tables for stored in one.issuers if "r2" in stored.names]
    responders = {stored.responder_certificate for stored in issuers}
    assert len(responders) == 1, "nothing is kept of the one before"
    assert pregen("verify", ca.store, "--all").code == 0


def current(ca: Ca) -> Generation:
    store = LocalStore(ca.store)
    head = find_head(store)
    assert head is not None
    return Generation(store, head)
