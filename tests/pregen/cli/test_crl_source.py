"""Revocations from CRLs, from the files to the answers, and the import of them."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.judges.programs import judge
from tests.pki import DAY, Party, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Column, Program, Value, instants, octets
from tests.pregen.snapshot.crls.authority import Entry, damaged, forged, write

GOOD, KEY, HELD, OLD = 0x11, 0x1234567890ABCDEF12, -0x77, 0x99


@pytest.fixture
def listed(ca: Ca) -> Ca:
    """A CA with a list of issued certificates, and a CRL; one of them is on hold, which not every profile allows."""
    ca.profile = "microsoft"
    count = 4
    ca.configure(snapshot={"path": "snapshot.parquet", "kind": "crl", "crls": "*.crl"})
    ca.export(
        serial=octets(GOOD, KEY, HELD, OLD),
        status=pa.array([1] * count, pa.uint8()),  # not asked
        revoked_at=None,
        reason=None,
        not_after=instants(*[ca.now + 30 * DAY] * count),
    )
    made = ca.now - timedelta(hours=1)
    entries = [
        Entry(serial=KEY, at=made - timedelta(hours=2), reason=1),
        Entry(serial=HELD, at=made - 2 * DAY, reason=6),
        Entry(serial=OLD, at=made - 3 * DAY),
    ]
    octets_ = forged(ca.issuer, entries, this_update=made, next_update=ca.now + 6 * DAY)
    write(ca.folder, "base.crl", octets_)
    return ca


def answer(ca: Ca, pregen: Program, serial: int) -> tuple[object, object, object]:
    found = pregen("lookup", ca.store, "--issuer", ca.pem, f"--serial={serial:x}", "--json")
    assert found.code == 0, found.err
    return found.document["status"], found.document["revoked_at"], found.document["reason"]


def text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def test_certificates_are_answered_as_the_crl_says(listed: Ca, pregen: Program) -> None:
    ended = pregen("run", listed.config, "--json")

    assert (ended.code, ended.err) == (0, "")
    made = listed.now - timedelta(hours=1)
    assert ended.document["this_update"] == text(made), "of the CRL, not of the list"
    assert answer(listed, pregen, GOOD) == ("good", None, None)
    assert answer(listed, pregen, KEY) == ("revoked", text(made - timedelta(hours=2)), "keyCompromise")
    assert answer(listed, pregen, HELD) == ("revoked", text(made - 2 * DAY), "certificateHold")
    assert answer(listed, pregen, OLD) == ("revoked", text(made - 3 * DAY), None)


def test_a_delta_makes_a_held_certificate_good_again(listed: Ca, pregen: Program) -> None:
    made = listed.now - timedelta(minutes=10)
    changes = [Entry(serial=HELD, at=made - DAY, reason=8)]
    delta = forged(listed.issuer, changes, number=8, base_number=7, this_update=made, next_update=listed.now + DAY)
    write(listed.folder, "delta.crl", delta)

    assert pregen("run", listed.config, "--json").document["this_update"] == text(made)
    assert answer(listed, pregen, HELD) == ("good", None, None)
    assert answer(listed, pregen, KEY)[0] == "revoked"


def test_a_newer_crl_with_a_lower_number_never_loses_its_revocations(listed: Ca, pregen: Program) -> None:
    made = listed.now - timedelta(minutes=10)
    newer = forged(listed.issuer, [Entry(serial=GOOD, at=made, reason=1)], number=3, this_update=made)
    write(listed.folder, "newer.crl", newer)

    ended = pregen("run", listed.config, "--json")

    assert ended.code == 3
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    (finding,) = findings
    assert finding["code"] == "crl.order"
    for said in ("newer.crl (base number 3 of ", "base.crl (base number 7 of ", text(made), "remove the others"):
        assert said in finding["message"]
    assert listed.published() == {}


@pytest.mark.parametrize("minutes", [0, 10])
@pytest.mark.parametrize("name", ["a.crl", "z.crl"])
def test_two_crls_of_one_number_that_differ_are_refused_whatever_they_are_called(
    listed: Ca, pregen: Program, name: str, minutes: int
) -> None:
    made = listed.now - timedelta(hours=1, minutes=minutes)
    also = [Entry(serial=GOOD, at=made - timedelta(hours=1), reason=1)]
    write(listed.folder, name, forged(listed.issuer, also, this_update=made, next_update=listed.now + 6 * DAY))

    ended = pregen("run", listed.config, "--json")

    assert ended.code == 3
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    (finding,) = findings
    assert finding["code"] == "crl.order"
    for said in (name, "base.crl", "has the same number", "nobody can tell which CRL is the newest"):
        assert said in finding["message"]
    assert "is newer" not in ended.err
    assert listed.published() == {}


@pytest.mark.parametrize(("number", "seconds"), [(7, 0), (7, 2), (7, -2), (8, -2)])
def test_a_delta_that_is_made_with_its_base_is_worth_no_word(
    listed: Ca, pregen: Program, number: int, seconds: int
) -> None:
    """It has the number of the base (RFC 5280, 5.2.3), or the next one and a time of its own."""
    made = listed.now - timedelta(hours=1, seconds=-seconds)
    changes = [Entry(serial=KEY, at=made - timedelta(hours=2), reason=1)]
    until = listed.now + DAY
    delta = forged(listed.issuer, changes, number=number, base_number=6, this_update=made, next_update=until)
    write(listed.folder, "delta.crl", delta)

    ended = pregen("run", listed.config)

    assert (ended.code, ended.err) == (0, "")
    assert [answer(listed, pregen, serial)[0] for serial in (GOOD, KEY, OLD)] == ["good", "revoked", "revoked"]


def test_a_crl_under_two_names_is_one(listed: Ca, pregen: Program) -> None:
    write(listed.folder, "again.crl", (listed.folder / "base.crl").read_bytes())

    ended = pregen("run", listed.config, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert answer(listed, pregen, KEY)[0] == "revoked"


@pytest.fixture
def rolled(listed: Ca) -> Party:
    """The new key of the same CA, which has issued HELD and OLD; the CRL of the old key is still valid, and empty."""
    new = make_issuer(not_before=listed.now - DAY, not_after=listed.now + 3_650 * DAY)
    new.write(listed.folder, "new")
    make_responder(new, not_before=listed.now - DAY, not_after=listed.now + 60 * DAY).write(listed.folder, "new-ocsp")
    section = {
        "name": "r2",
        "certificate": "new.pem",
        "responder_certificate": "new-ocsp.pem",
        "key": "new-ocsp.key",
    }
    listed.configure(section, snapshot={"path": "snapshot.parquet", "kind": "crl", "crls": "*.crl"})
    export_rolled(listed)
    made = listed.now - timedelta(hours=1)
    write(listed.folder, "base.crl", forged(listed.issuer, this_update=made, next_update=listed.now + DAY))
    write(listed.folder, "new.crl", forged(new, this_update=made, next_update=listed.now + DAY))
    return new


def export_rolled(ca: Ca, not_before: "Column | None" = None) -> None:
    ca.export(
        serial=octets(GOOD, KEY, HELD, OLD),
        issuer=pa.array(["r1", "r1", "r2", "r2"]),
        status=None,
        revoked_at=None,
        reason=None,
        not_before=not_before,
    )


def answers(ca: Ca, pregen: Program) -> list[object]:
    """Return the statuses of GOOD and KEY of the old key, and of HELD and OLD of the new one."""
    asked = ((ca.pem, GOOD), (ca.pem, KEY), (ca.folder / "new.pem", HELD), (ca.folder / "new.pem", OLD))
    found = [pregen("lookup", ca.store, "--issuer", pem, f"--serial={serial:x}", "--json") for pem, serial in asked]
    return [one.document["status"] for one in found]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_crl_of_one_key_tells_of_certificates_of_the_ca_s_other_keys(
    listed: Ca, rolled: Party, pregen: Program, workers: int
) -> None:
    """A certificate is identified by the name of its issuer and its serial (RFC 5280, 4.1.2.2)."""
    made = listed.now - timedelta(hours=1)
    told = [Entry(serial=KEY, at=made - DAY, reason=1), Entry(serial=HELD, at=made - DAY), Entry(serial=0x5000)]
    write(listed.folder, "new.crl", forged(rolled, told, this_update=made, next_update=listed.now + DAY))
    old = [Entry(serial=OLD, at=made - DAY)]
    write(listed.folder, "base.crl", forged(listed.issuer, old, this_update=made, next_update=listed.now + DAY))
    section = (listed.folder / "pregen.toml").read_text().replace("workers = 1", f"workers = {workers}")
    (listed.folder / "pregen.toml").write_text(section)

    ended = pregen("run", listed.config, "--json")

    assert ended.code == 0, ended.err
    findings = ended.document["findings"]
    assert isinstance(findings, list)
    assert [(one["code"], one["count"]) for one in findings] == [("crl.not-issued", 1)]
    assert ", serial, 5000, " in findings[0]["examples"][0]
    assert answers(listed, pregen) == ["good", "revoked", "revoked", "revoked"]


def test_a_hold_that_one_key_s_crl_releases_stays_in_the_other_s(listed: Ca, rolled: Party, pregen: Program) -> None:
    made, until = listed.now - timedelta(hours=1), listed.now + DAY
    held = [Entry(serial=serial, at=made - DAY, reason=6) for serial in (GOOD, KEY, HELD)]
    write(listed.folder, "new.crl", forged(rolled, held, this_update=made, next_update=until))
    still = [Entry(serial=KEY, at=made - DAY, reason=6)]
    write(listed.folder, "base.crl", forged(listed.issuer, still, this_update=made, next_update=until))
    released = [Entry(serial=serial, at=made - DAY, reason=8) for serial in (GOOD, KEY)]
    later = made + timedelta(minutes=10)
    delta = forged(rolled, released, number=8, base_number=7, this_update=later, next_update=until)
    write(listed.folder, "delta.crl", delta)

    ended = pregen("run", listed.config)

    assert (ended.code, ended.err) == (0, "")
    assert answers(listed, pregen) == ["good", "revoked", "revoked", "good"]


@pytest.mark.parametrize(("days", "code"), [(9, 3), (1, 0)])
def test_rows_of_all_keys_show_whether_entries_without_one_are_of_expired_certificates(
    listed: Ca, rolled: Party, pregen: Program, days: int, code: int
) -> None:
    made = listed.now - timedelta(hours=1)
    entries = [Entry(serial=0x5000, at=made - 5 * DAY)]
    write(listed.folder, "base.crl", forged(listed.issuer, entries, this_update=made, next_update=listed.now + DAY))
    since = listed.now - days * DAY
    export_rolled(listed, instants(made, made, since, since))

    ended = pregen("run", listed.config)

    assert (ended.code, "error crl.none-listed" in ended.err) == (code, code == 3), ended.err
    assert rolled.certificate.subject == listed.issuer.certificate.subject


def of_kinds(ca: Ca, scope: str, *kinds: str | None) -> None:
    """Write a CRL of some of the certificates, and GOOD, KEY, HELD and OLD with their kinds."""
    made = ca.now - timedelta(hours=1)
    told = [Entry(serial=KEY, at=made - DAY, reason=1)]
    octets_ = forged(ca.issuer, told, this_update=made, next_update=ca.now + DAY, scope={scope: True})
    write(ca.folder, "base.crl", octets_)
    serials = octets(GOOD, KEY, HELD, OLD)
    ca.export(serial=serials, status=None, revoked_at=None, reason=None, kind=pa.array(kinds, pa.string()))


CAS, USERS = "only_contains_ca_certs", "only_contains_user_certs"


@pytest.mark.parametrize(
    ("scope", "kinds"), [(CAS, ["ca"] * 4), (USERS, ["end-entity", None, "end-entity", None])], ids=["root", "issuing"]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_crl_that_is_about_all_rows_of_its_issuer_is_enough(
    listed: Ca, pregen: Program, scope: str, kinds: list[str | None], workers: int
) -> None:
    of_kinds(listed, scope, *kinds)
    listed.configure(snapshot={"path": "snapshot.parquet", "kind": "crl", "crls": "*.crl"}, run={"workers": workers})

    ended = pregen("run", listed.config)

    assert (ended.code, ended.err) == (0, "")
    assert [answer(listed, pregen, serial)[0] for serial in (GOOD, KEY)] == ["good", "revoked"]


@pytest.mark.parametrize(
    ("scope", "kinds", "count"), [(CAS, ["ca", "ca", "end-entity", None], 2), (USERS, ["end-entity"] * 3 + ["ca"], 1)]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_rows_that_no_crl_is_about_stop_the_run_whatever_is_accepted(
    listed: Ca, pregen: Program, scope: str, kinds: list[str | None], count: int, workers: int
) -> None:
    of_kinds(listed, scope, *kinds)
    snapshot: dict[str, Value] = {"path": "snapshot.parquet", "kind": "crl", "crls": "*.crl"}
    listed.configure(snapshot=snapshot, run={"workers": workers}, gates={"rows_invalid": 100})

    for accept in ((), ("--accept", "rows-invalid", "--reason", "why")):
        ended = pregen("run", listed.config, "--json", *accept)

        assert ended.code == 3
        findings = ended.error["findings"]
        assert isinstance(findings, list)
        told = [(one["code"], one["count"]) for one in findings if one["severity"] == "error"]
        assert told == [("crl.scope", count)]
        assert listed.published() == {}
    assert pregen("run", listed.config, "--accept", "crl.scope", "--reason", "why").code == 2
    assert pregen("import", listed.config, "--out", listed.folder / "out").code == 3
    assert not (listed.folder / "out").exists()


def test_files_of_which_some_do_not_say_the_kinds_of_their_rows_are_refused(listed: Ca, pregen: Program) -> None:
    of_kinds(listed, USERS, *["end-entity"] * 4)
    (listed.folder / "issued").mkdir()
    whole = pq.read_table(listed.snapshot)
    pq.write_table(whole.slice(0, 3), listed.folder / "issued" / "1.parquet")
    pq.write_table(whole.slice(3).drop_columns("kind"), listed.folder / "issued" / "2.parquet")
    listed.configure(snapshot={"path": "issued", "kind": "crl", "crls": "*.crl"})

    ended = pregen("run", listed.config, "--json")

    findings = ended.error["findings"]
    assert isinstance(findings, list)
    assert (ended.code, [(one["code"], one["severity"]) for one in findings]) == (3, [("column.differs", "error")])


def test_several_files_and_workers_know_the_same_entries(listed: Ca, pregen: Program) -> None:
    whole = pq.read_table(listed.snapshot)
    listed.snapshot.unlink()
    (listed.folder / "issued").mkdir()
    for number in range(whole.num_rows - 1):
        pq.write_table(whole.slice(number, 1), listed.folder / "issued" / f"{number}.parquet")
    listed.configure(snapshot={"path": "issued", "kind": "crl", "crls": ["base.crl"]}, run={"workers": 2})

    ended = pregen("run", listed.config, "--json")

    assert ended.code == 0, ended.err
    findings = ended.document["findings"]
    assert isinstance(findings, list)
    assert [(one["code"], one["count"]) for one in findings] == [("crl.not-issued", 1)]
    assert f", serial, {OLD:x}, revoked " in findings[0]["examples"][0]
    assert answer(listed, pregen, HELD)[0] == "revoked"


def test_a_crl_that_must_not_be_used_stops_the_run(listed: Ca, pregen: Program) -> None:
    write(listed.folder, "base.crl", damaged((listed.folder / "base.crl").read_bytes()))

    ended = pregen("run", listed.config, "--json")

    assert ended.code == 3
    assert [one["code"] for one in ended.error["findings"]] == ["crl.signature"]  # type: ignore[attr-defined]
    assert listed.published() == {}


def test_a_list_without_an_instant_and_a_crl_that_cannot_be_used_are_one_mistake(listed: Ca, pregen: Program) -> None:
    (listed.folder / "base.crl").write_bytes(damaged((listed.folder / "base.crl").read_bytes()))
    table = pq.read_table(listed.snapshot)
    pq.write_table(table.replace_schema_metadata({}), listed.snapshot)

    ended = pregen("check", listed.config)

    assert ended.code == 3
    assert "error crl.signature" in ended.err
    assert "as-of.missing" not in ended.err


def test_an_as_of_after_the_crl_is_refused_and_an_earlier_one_is_taken(listed: Ca, pregen: Program) -> None:
    made = listed.now - timedelta(hours=1)

    late = pregen("run", listed.config, "--json", "--as-of", text(made + timedelta(seconds=1)))
    assert late.code == 3
    assert [one["code"] for one in late.error["findings"]] == ["crl.before-as-of"]  # type: ignore[attr-defined]
    assert text(made) in late.err
    assert text(made + timedelta(seconds=1)) in late.err

    early = pregen("run", listed.config, "--json", "--as-of", text(made - timedelta(minutes=1)))
    assert early.document["this_update"] == text(made - timedelta(minutes=1))


def test_the_list_may_be_older_than_the_crl_or_say_nothing(listed: Ca, pregen: Program) -> None:
    table = pq.read_table(listed.snapshot)
    made = listed.now - timedelta(hours=1)
    for says, counts in (({"pregen.as_of": text(made - timedelta(hours=2))}, made - timedelta(hours=2)), ({}, made)):
        pq.write_table(table.replace_schema_metadata(says), listed.snapshot)
        assert pregen("check", listed.config, "--json").document["as_of"] == text(counts)


@pytest.mark.parametrize("column", ["status", "revoked_at", "reason"])
def test_a_column_that_tells_revocations_beside_crls_is_a_mistake(listed: Ca, pregen: Program, column: str) -> None:
    snapshot: dict[str, Value] = {
        "path": "snapshot.parquet",
        "kind": "crl",
        "crls": "*.crl",
        "columns": {column: "status"},
    }
    listed.configure(snapshot=snapshot)

    ended = pregen("run", listed.config, "--json")

    assert ended.code == 2
    assert column in ended.err
    assert "two sources" in ended.err


def test_an_import_publishes_the_same_answers(listed: Ca, pregen: Program) -> None:
    out = listed.folder / "canonical"
    (listed.folder / "ocsp.key").rename(listed.folder / "elsewhere.key")

    imported = pregen("import", listed.config, "--out", out, "--json")

    assert (imported.code, imported.err) == (0, "")
    assert imported.document["as_of"] == text(listed.now - timedelta(hours=1))
    assert (imported.document["rows_in"], imported.document["rows"], imported.document["files"]) == (4, 4, 1)
    assert imported.document["bytes"] == (out / "part-00000.parquet").stat().st_size
    (listed.folder / "elsewhere.key").rename(listed.folder / "ocsp.key")
    pregen("run", listed.config)
    first = [answer(listed, pregen, serial) for serial in (GOOD, KEY, HELD, OLD)]
    listed.configure(snapshot={"path": "canonical"}, publish={"store": "second"})
    assert pregen("run", listed.config, "--json").document["this_update"] == imported.document["as_of"]
    second = [
        pregen("lookup", listed.folder / "second", "--issuer", listed.pem, f"--serial={serial:x}", "--json").document
        for serial in (GOOD, KEY, HELD, OLD)
    ]
    assert [(one["status"], one["revoked_at"], one["reason"]) for one in second] == first


@pytest.mark.parametrize("hours", [None, 12])
def test_what_was_issued_and_revoked_after_as_of_is_taken_after_an_import_too(
    listed: Ca, pregen: Program, hours: int | None
) -> None:
    """The list is mostly newer than the oldest CRL, and so may be what other CRLs revoke."""
    as_of = () if hours is None else ("--as-of", text(listed.now - timedelta(hours=hours)))
    count = 600
    made = listed.now - timedelta(hours=9)
    revoked = [Entry(serial=KEY, at=made)]
    write(listed.folder, "base.crl", forged(listed.issuer, revoked, this_update=made, next_update=listed.now + DAY))
    issued = [listed.now - timedelta(minutes=5 * at) for at in range(count - 3)]
    listed.export(
        serial=octets(KEY, HELD, OLD, *range(0x1000, 0x1000 + count - 3)),
        status=None,
        revoked_at=None,
        reason=None,
        not_before=instants(*[listed.now - 9 * DAY] * 3, *issued),
        not_after=instants(*[listed.now + 30 * DAY] * count),
    )
    checked = [pregen("check", listed.config, "--json", *as_of)]
    for name in ("out", "again"):
        assert pregen("import", listed.config, "--out", listed.folder / name, *as_of).code == 0
        listed.configure(snapshot={"path": name})
        checked.append(pregen("check", listed.config, "--json"))

    assert [ended.code for ended in checked] == [0] * 3, [ended.err for ended in checked]
    for field in ("as_of", "certificates", "excluded"):
        assert [ended.document[field] for ended in checked] == [checked[0].document[field]] * 3


def test_an_import_says_for_people_what_it_wrote(listed: Ca, pregen: Program) -> None:
    ended = pregen("import", listed.config, "--out", listed.folder / "out")

    assert (ended.code, ended.err) == (0, "")
    assert f"wrote 4 rows to {listed.folder / 'out'}" in ended.out


@pytest.mark.parametrize(("revoked_days_ago", "code"), [([60, 90], 0), ([60, 90, 2], 3)])
def test_a_crl_that_keeps_what_has_expired_is_no_error_where_not_before_tells(
    listed: Ca, pregen: Program, revoked_days_ago: list[int], code: int
) -> None:
    made = listed.now - timedelta(hours=1)
    entries = [Entry(serial=0x5000 + days, at=made - days * DAY) for days in revoked_days_ago]
    revoked = forged(listed.issuer, entries, this_update=made, next_update=listed.now + DAY)
    write(listed.folder, "base.crl", revoked)
    issued = instants(listed.now - 9 * DAY, listed.now - 40 * DAY)
    listed.export(serial=octets(1, 2), status=None, revoked_at=None, reason=None, not_before=issued)

    ended = pregen("run", listed.config, "--json")

    assert ended.code == code, ended.err
    assert ("error crl.none-listed" in ended.err) == (code == 3)

    listed.export(serial=octets(1, 2), status=None, revoked_at=None, reason=None)
    ended = pregen("run", listed.config, "--json")
    assert (ended.code, "error crl.none-listed" in ended.err) == (3, True)
    accept = ("--accept", "crl.none-listed", "--reason", "they have expired")
    assert pregen("run", listed.config, *accept).code == 0


def test_openssl_ca_makes_crls_that_are_read(ca: Ca, pregen: Program) -> None:
    ca.profile = "microsoft"
    database = "".join(f"{line}\n" for line in _index(ca.now))
    (ca.folder / "index.txt").write_text(database)
    (ca.folder / "crlnumber").write_text("0A\n")
    (ca.folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\n"
        "certificate = issuer.pem\nprivate_key = issuer.key\ndefault_crl_days = 7\ncrl_extensions = e\n"
        "[e]\nauthorityKeyIdentifier = issuer:always\n"
    )
    made = [judge("openssl"), "ca", "-config", "ca.cnf", "-gencrl", "-out", "made.pem"]
    environment = {**os.environ, "TZ": "UTC"}
    done = subprocess.run(made, cwd=ca.folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    ca.configure(snapshot={"kind": "crl", "crls": ["made.pem"]})
    ca.export(serial=octets(0x10, 0x11, 0x12, 0x9000), status=None, revoked_at=None, reason=None)

    ended = pregen("run", ca.config)

    assert ended.code == 0, ended.err
    gone = text(ca.now - 5 * DAY)
    assert answer(ca, pregen, 0x10) == ("good", None, None)
    assert answer(ca, pregen, 0x11) == ("revoked", gone, "keyCompromise")
    assert answer(ca, pregen, 0x12) == ("revoked", gone, None)
    assert answer(ca, pregen, 0x9000) == ("revoked", gone, "certificateHold")


def _index(now: datetime) -> list[str]:
    """Return lines of a database of `openssl ca`."""
    ahead, gone = (f"{at.astimezone(UTC):%y%m%d%H%M%SZ}" for at in (now + 30 * DAY, now - 5 * DAY))
    return [
        f"V\t{ahead}\t\t10\tunknown\t/CN=a",
        f"R\t{ahead}\t{gone},keyCompromise\t11\tunknown\t/CN=b",
        f"R\t{ahead}\t{gone}\t12\tunknown\t/CN=c",
        f"R\t{ahead}\t{gone},certificateHold\t9000\tunknown\t/CN=d",
    ]


SIGNED = 0x8F << 120 | 7  # a number whose content octets need a leading 00
WITHOUT_ZERO = SIGNED - (1 << 128)


def of_signs(listed: Ca, entry: int, *rows: int) -> None:
    count = len(rows)
    listed.export(
        serial=octets(*rows),
        status=None,
        revoked_at=None,
        reason=None,
        not_after=instants(*[listed.now + 30 * DAY] * count),
    )
    made = listed.now - timedelta(hours=1)
    entries = [Entry(serial=entry, at=made - DAY, reason=1)]
    write(listed.folder, "base.crl", forged(listed.issuer, entries, this_update=made, next_update=listed.now + DAY))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("entry", "row"), [(WITHOUT_ZERO, SIGNED), (SIGNED, WITHOUT_ZERO)])
def test_an_entry_that_differs_from_a_row_by_the_sign_alone_counts_and_is_told(
    listed: Ca, pregen: Program, entry: int, row: int, workers: int
) -> None:
    of_signs(listed, entry, row, GOOD)

    ended = pregen("run", listed.config, "--json", "--workers", workers)

    assert ended.code == 0, ended.out
    assert answer(listed, pregen, row)[0] == "revoked"
    assert answer(listed, pregen, GOOD)[0] == "good"
    assert "crl.sign:" in ended.err
    assert "crl.not-issued" not in ended.err
    split = pregen("lookup", listed.store, "--issuer", listed.pem, "--serial", f"{row:x}", "--json")
    assert split.document["status"] == "revoked"


def test_an_entry_that_fits_two_rows_is_refused_and_cannot_be_accepted(listed: Ca, pregen: Program) -> None:
    of_signs(listed, WITHOUT_ZERO, SIGNED, WITHOUT_ZERO)

    for more in ((), ("--accept", "rows-invalid", "--reason", "known")):
        ended = pregen("run", listed.config, "--json", *more)
        assert ended.code == 3
        assert "crl.sign-unclear" in ended.out
    assert listed.published() == {}


@pytest.mark.parametrize(("entry", "row"), [(WITHOUT_ZERO, SIGNED), (SIGNED, WITHOUT_ZERO)])
def test_an_anchor_that_lists_a_good_row_but_for_its_sign_contradicts_it(
    ca: Ca, pregen: Program, entry: int, row: int
) -> None:
    of_signs(ca, entry, row, GOOD)
    ca.configure(snapshot={"anchor": [{"crl": "base.crl"}]})
    ca.export(
        serial=octets(row, GOOD),
        status=pa.array([0, 0]),
        revoked_at=None,
        reason=None,
    )

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 3
    assert "revocation.in-crl" in ended.out
