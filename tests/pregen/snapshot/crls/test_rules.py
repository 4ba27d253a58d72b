from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import x509 as names

from pregen import clock
from pregen.snapshot import CrlIssuer, read_crls
from pregen.snapshot.crls.rules import Effective, effective_crls
from pregen.snapshot.crls.scope import partition_findings
from tests.pki import DAY, NOW, make_issuer, shared_key
from tests.pregen.snapshot.crls.authority import built, crl_issuer, damaged, forged, printable_name, write

ISSUER = make_issuer(key=shared_key())
SAME_NAME = make_issuer()
OTHER = make_issuer("Another CA")
RSA = make_issuer(key=shared_key("rsa2048"))
HOUR = timedelta(hours=1)
USER, CAS = {"only_contains_user_certs": True}, {"only_contains_ca_certs": True}
BOTH = (crl_issuer(ISSUER), crl_issuer(OTHER, 1, "other"))


def judged(
    folder: Path, *ders: bytes, issuers: Sequence[CrlIssuer] = (crl_issuer(ISSUER),)
) -> tuple[tuple[Effective, ...], dict[str, str]]:
    """Return what counts, and the messages of all findings by severity and code."""
    crls = [crl for i, der in enumerate(ders) for crl in read_crls(write(folder, f"{i}.crl", der))]
    effective, findings = effective_crls(crls, issuers, clock.seconds(NOW))
    assert len({finding.code for finding in findings}) == len(findings)
    return effective, {f"{finding.severity} {finding.code}": finding.message for finding in findings}


def test_a_base_of_every_issuer_counts(tmp_path: Path) -> None:
    issuers = (crl_issuer(ISSUER, 0, "a"), crl_issuer(OTHER, 1, "b"))

    effective, findings = judged(tmp_path, built(ISSUER), built(OTHER, this_update=NOW - DAY), issuers=issuers)

    assert [(one.issuer.index, one.delta) for one in effective] == [(1, None), (0, None)], "the oldest first"
    assert findings == {}


def test_the_key_decides_between_issuers_of_one_name(tmp_path: Path) -> None:
    issuers = (crl_issuer(ISSUER, 0, "old"), crl_issuer(SAME_NAME, 1, "new"))

    effective, findings = judged(tmp_path, built(SAME_NAME), issuers=issuers)

    assert [one.issuer.name for one in effective] == ["new"]
    assert list(findings) == ["error crl.missing"]
    assert "'old'" in findings["error crl.missing"]


def test_the_same_name_in_another_string_type_is_the_same_issuer(tmp_path: Path) -> None:
    effective, findings = judged(tmp_path, forged(ISSUER, subject=printable_name("Example Root R1").public_bytes()))

    assert (len(effective), findings) == (1, {})


@pytest.mark.parametrize(
    ("der", "code", "says"),
    [
        (built(OTHER), "crl.unknown-issuer", "add [[issuer]]"),
        (damaged(built(ISSUER)), "crl.signature", "fetch it again"),
        (built(SAME_NAME), "crl.signature", "another key's"),
        (forged(RSA, digest="md5"), "crl.weak-signature", "md5"),
        (forged(ISSUER, extensions=[("1.2.3.4", True, b"\x05\x00")]), "crl.critical-extension", "1.2.3.4"),
        (forged(ISSUER, scope={"indirect_crl": True}), "crl.indirect", "direct CRLs"),
        (forged(ISSUER, scope={"only_some_reasons": {"key_compromise"}}), "crl.partial", "onlySomeReasons"),
        (
            forged(ISSUER, scope={"only_contains_user_certs": True, "only_contains_ca_certs": True}),
            "crl.partial",
            "onlyContainsCACerts",
        ),
        (built(ISSUER, this_update=NOW + timedelta(minutes=5, seconds=1)), "crl.future", "clocks"),
        (forged(ISSUER, next_update=NOW - timedelta(seconds=1)), "crl.expired", "fetch the newest"),
        (forged(ISSUER, base_number=5), "crl.delta-without-base", "name the base too"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("crl.") else "",
)
def test_a_crl_that_must_not_be_used_is_an_error_with_file_and_remedy(
    tmp_path: Path, der: bytes, code: str, says: str
) -> None:
    issuer = crl_issuer(RSA if code == "crl.weak-signature" else ISSUER)

    _, findings = judged(tmp_path, der, issuers=[issuer])

    missing = {"error crl.missing"} if code == "crl.unknown-issuer" else set()
    assert set(findings) == {f"error {code}"} | missing
    assert says in findings[f"error {code}"]
    assert str(tmp_path / "0.crl") in findings[f"error {code}"]


@pytest.mark.parametrize(
    "der",
    [
        built(ISSUER, this_update=NOW + timedelta(minutes=5)),
        forged(ISSUER, next_update=NOW),
        forged(ISSUER, scope={"only_contains_user_certs": True}),
        forged(ISSUER, scope={"only_contains_ca_certs": True}),
        forged(ISSUER, extensions=[("1.2.3.4", False, b"\x05\x00"), ("2.5.29.46", False, b"\x30\x00")]),
        forged(ISSUER, number=None),
    ],
    ids=["skew", "last second", "user certificates", "CA certificates", "not critical", "no number"],
)
def test_what_is_within_the_rules_counts_without_a_word(tmp_path: Path, der: bytes) -> None:
    effective, findings = judged(tmp_path, der)

    assert (len(effective), findings) == (1, {})


def test_sha1_and_an_absent_next_update_are_worth_a_warning(tmp_path: Path) -> None:
    effective, findings = judged(tmp_path, forged(RSA, digest="sha1", next_update=None), issuers=[crl_issuer(RSA)])

    assert len(effective) == 1
    assert set(findings) == {"warning crl.weak-signature", "warning crl.no-next-update"}


def test_no_crl_at_all_is_an_error_for_every_issuer(tmp_path: Path) -> None:
    _, findings = effective_crls([], [crl_issuer(ISSUER, 0, "a"), crl_issuer(OTHER, 1, "b")], clock.seconds(NOW))

    assert [finding.code for finding in findings] == ["crl.missing"] * 2


def test_the_base_with_the_highest_number_counts(tmp_path: Path) -> None:
    newest = built(ISSUER, number=9, this_update=NOW - HOUR)

    effective, findings = judged(tmp_path, newest, built(ISSUER, number=8, this_update=NOW - 2 * DAY))

    assert [one.base.number for one in effective] == [9]
    assert list(findings) == ["warning crl.superseded"]


@pytest.mark.parametrize("number", [8, None])
def test_a_base_that_is_later_than_one_with_a_higher_number_is_an_error(tmp_path: Path, number: int | None) -> None:
    """Whichever is right: the other one lacks revocations, or has those of another issuer's past."""
    older = built(ISSUER, number=9, this_update=NOW - 2 * DAY)

    _, findings = judged(tmp_path, older, forged(ISSUER, number=number, this_update=NOW - HOUR))

    assert list(findings) == ["error crl.order"]
    for said in ("0.crl", "1.crl", "base number 9 of", "2026-", "fetch the newest"):
        assert said in findings["error crl.order"]


@pytest.mark.parametrize(
    ("number", "at", "told"),
    [
        (6, NOW - HOUR + timedelta(minutes=5, seconds=1), "error crl.order"),
        (6, NOW - HOUR + timedelta(minutes=5), "warning crl.delta-stale"),
        (7, NOW - HOUR + timedelta(minutes=5, seconds=1), "error crl.order"),
        (7, NOW - HOUR + timedelta(minutes=5), None),
        (7, NOW - HOUR, None),
        (7, NOW - HOUR - timedelta(minutes=5), None),
        (7, NOW - HOUR - timedelta(minutes=5, seconds=1), "warning crl.delta-stale"),
        (8, NOW - HOUR - timedelta(minutes=5, seconds=1), "error crl.order"),
        (8, NOW - HOUR - timedelta(minutes=5), None),
        (8, NOW - HOUR, None),
    ],
)
def test_deltas_are_numbered_with_their_bases(tmp_path: Path, number: int, at: datetime, told: str | None) -> None:
    """A delta of the base's own number may only repeat it (RFC 5280, 5.2.3), and is made with it, give or take."""
    delta = forged(ISSUER, number=number, base_number=5, this_update=at)

    effective, findings = judged(tmp_path, built(ISSUER, number=7), delta)

    assert list(findings) == ([] if told is None else [told])
    assert (effective[0].delta is not None) == (number == 8)


@pytest.mark.parametrize("between", [[], [timedelta(minutes=-4)]], ids=["alone", "a delta between"])
def test_bases_and_deltas_each_are_in_order_to_the_second(tmp_path: Path, between: list[timedelta]) -> None:
    """What lies between two of them within five minutes of each is no excuse."""
    made = NOW - HOUR
    bases = [forged(ISSUER, number=7, this_update=made), forged(ISSUER, number=9, this_update=made - HOUR / 30)]
    deltas = [forged(ISSUER, number=8, base_number=6, this_update=made + skew) for skew in between]
    _, findings = judged(tmp_path, *bases, *deltas)
    assert list(findings) == ["error crl.order"]

    deltas = [
        forged(ISSUER, number=number, base_number=6, this_update=at)
        for number, at in ((8, made), (9, made - timedelta(seconds=1)))
    ]
    _, findings = judged(tmp_path, forged(ISSUER, number=7, this_update=made), *deltas)
    assert list(findings) == ["error crl.order"]


def test_crls_of_two_parts_are_numbered_apart(tmp_path: Path) -> None:
    parts = [forged(ISSUER, scope=USER), forged(ISSUER, scope=CAS, number=2, this_update=NOW)]

    assert judged(tmp_path, *parts)[1] == {}


@pytest.mark.parametrize(
    ("number", "at", "shared"),
    [
        (7, NOW - HOUR, "number"),
        (7, NOW - DAY, "number"),
        (8, NOW - HOUR, "thisUpdate"),
        (None, NOW - HOUR, "thisUpdate"),
    ],
)
def test_two_bases_that_differ_share_neither_number_nor_time(
    tmp_path: Path, number: int | None, at: datetime, shared: str
) -> None:
    """One number is issued once (RFC 5280, 5.2.3), and file names say nothing."""
    ders = [built(ISSUER, [5]), forged(ISSUER, number=number, this_update=at)]

    for order in (ders, ders[::-1]):
        _, findings = judged(tmp_path, *order)

        assert list(findings) == ["error crl.order"]
        for said in ("0.crl", "1.crl", f"has the same {shared};", "remove the others"):
            assert said in findings["error crl.order"]


def test_of_bases_without_numbers_the_one_made_last_counts(tmp_path: Path) -> None:
    ders = [forged(ISSUER, number=None, this_update=at) for at in (NOW - HOUR, NOW - DAY)]

    effective, findings = judged(tmp_path, *ders)

    assert [one.this_update for one in effective] == [clock.seconds(NOW - HOUR)]
    assert list(findings) == ["warning crl.superseded"]


def test_a_crl_that_is_named_twice_is_one(tmp_path: Path) -> None:
    der = built(ISSUER)

    effective, findings = judged(tmp_path, der, der)

    assert (len(effective), findings) == (1, {})


def test_an_expired_base_that_does_not_count_does_not_matter(tmp_path: Path) -> None:
    old = forged(ISSUER, number=6, this_update=NOW - 2 * DAY, next_update=NOW - DAY)

    _, findings = judged(tmp_path, old, built(ISSUER))

    assert list(findings) == ["warning crl.superseded"]


def point(name: str) -> dict[str, object]:
    """Return the scope of a CRL that is about a distribution point alone."""
    where = names.GeneralName("uniform_resource_identifier", f"http://c.example/{name}.crl")
    return {"distribution_point": names.DistributionPointName("full_name", [where])}


def test_parts_of_an_issuer_are_united_and_each_has_its_own_newest(tmp_path: Path) -> None:
    effective, findings = judged(
        tmp_path,
        forged(ISSUER, scope=point("1")),
        forged(ISSUER, scope=point("2")),
        forged(ISSUER, number=6, this_update=NOW - DAY, scope=point("2")),
    )

    assert [one.base.number for one in effective] == [7, 7]
    assert len({one.base.scope for one in effective}) == 2
    assert list(findings) == ["warning crl.superseded"]
    (finding,) = partition_findings(effective)
    assert (finding.code, finding.severity, finding.count) == ("crl.partition", "warning", 2)
    assert finding.examples == ("http://c.example/1.crl", "http://c.example/2.crl")


@pytest.mark.parametrize("base_number", [5, 7])
def test_a_delta_with_a_higher_number_changes_the_base_and_makes_it_fresh(tmp_path: Path, base_number: int) -> None:
    base = forged(ISSUER, number=7, this_update=NOW - 3 * DAY, next_update=NOW - DAY)

    effective, findings = judged(tmp_path, base, forged(ISSUER, number=8, base_number=base_number))

    assert findings == {}
    assert [one.delta.number for one in effective if one.delta] == [8]
    assert effective[0].this_update == clock.seconds(NOW - HOUR)


def test_the_newest_delta_counts(tmp_path: Path) -> None:
    deltas = [forged(ISSUER, number=number, base_number=7) for number in (9, 10, 8)]

    effective, findings = judged(tmp_path, built(ISSUER), deltas[0], deltas[1])

    assert [one.delta.number for one in effective if one.delta] == [10]
    assert list(findings) == ["warning crl.superseded"]


def test_a_delta_to_a_base_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    _, findings = judged(tmp_path, built(ISSUER, number=7), forged(ISSUER, number=9, base_number=8))
    assert list(findings) == ["error crl.delta-without-base"]
    assert "would be lost" in findings["error crl.delta-without-base"]

    _, findings = judged(tmp_path, forged(ISSUER, number=None), forged(ISSUER, number=9, base_number=8))
    assert list(findings) == ["error crl.delta-without-base"]

    part = {"only_contains_user_certs": True}
    _, findings = judged(tmp_path, built(ISSUER, number=7), forged(ISSUER, number=9, base_number=7, scope=part))
    assert list(findings) == ["error crl.delta-without-base"]


def test_a_delta_that_is_not_newer_than_the_base_is_ignored(tmp_path: Path) -> None:
    effective, findings = judged(tmp_path, built(ISSUER, number=7), forged(ISSUER, number=6, base_number=5))

    assert effective[0].delta is None
    assert list(findings) == ["warning crl.delta-stale"]


def test_everything_that_is_wrong_is_found_at_once(tmp_path: Path) -> None:
    both = forged(ISSUER, scope={"indirect_crl": True}, extensions=[("1.2.3.4", True, b"\x05\x00")])

    _, findings = judged(tmp_path, both, built(OTHER), damaged(built(ISSUER)))

    assert set(findings) == {
        "error crl.indirect",
        "error crl.critical-extension",
        "error crl.unknown-issuer",
        "error crl.signature",
    }


def test_a_key_that_nothing_can_be_checked_with_is_said(tmp_path: Path) -> None:
    _, findings = judged(tmp_path, built(ISSUER), issuers=[replace(crl_issuer(ISSUER), public_key=b"no key")])

    assert "cannot be checked" in findings["error crl.signature"]


@pytest.mark.parametrize(
    ("whole", "part", "count"),
    [
        (None, {}, None),
        (None, USER, None),
        (USER, USER, None),
        (USER, {}, 1),
        (CAS, USER, 1),
    ],
    ids=["all, all", "all, user", "user, user", "user, all", "CAs, user"],
)
def test_a_part_of_what_another_crl_covers_as_a_whole_is_worth_no_word(
    tmp_path: Path, whole: dict[str, object] | None, part: dict[str, object], count: int | None
) -> None:
    effective, findings = judged(
        tmp_path, forged(ISSUER, scope=whole), forged(ISSUER, scope={**point("1"), **part}), built(OTHER), issuers=BOTH
    )
    assert (len(effective), findings) == (3, {})

    told = partition_findings(effective)

    assert [one.count for one in told] == ([] if count is None else [count])
    assert all("'demo-r1' has 2 CRLs that count, of which 1 are" in one.message for one in told)
