"""`pregen verify --against`: what is published is what a snapshot says, and nothing else is answered good."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pregen.cli.ca import GOOD, REVOKED, UNKNOWN, Ca, Program, instants, octets
from tests.pregen.cli.source import NEW, Source
from tests.pregen.cli.two import Row, export, second_issuer


def findings(ca: Ca, pregen: Program, *words: object) -> dict[str, tuple[int, list[str]]]:
    """Return what is wrong, by code: how many, and examples."""
    ended = pregen("verify", ca.store, "--against", ca.config, *words, "--json")
    assert ended.code == 6, ended.err
    found = ended.error["findings"]
    assert isinstance(found, list)
    return {one["code"]: (one["count"], one["examples"]) for one in found}


def test_what_was_published_is_what_its_snapshot_says(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0

    ended = pregen("verify", ca.store, "--against", ca.config, "--json")

    assert ended.code == 0, ended.err
    against = ended.document["against"]
    assert isinstance(against, dict)
    assert (against["rows_in"], against["certificates"], against["ahead"]) == (3, 3, 0)
    assert ended.document["trust"] == "named certificates"
    assert "it says what the snapshot as of" in pregen("verify", "--against", ca.config).out


def test_certificates_of_several_issuers_are_told_apart(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    export(ca, [Row(GOOD), Row(GOOD, "r2", ca.now - timedelta(hours=1), 1), Row(REVOKED, "r2")])
    assert pregen("run", ca.config).code == 0
    assert pregen("verify", ca.store, "--against", ca.config).code == 0
    export(ca, [Row(GOOD), Row(GOOD, "r2"), Row(REVOKED, "r2")])

    [example] = findings(ca, pregen)["verify.status"][1]
    assert example.startswith(f"serial {GOOD:x} of r2: revoked at ")


def test_each_kind_of_difference_is_told_with_examples(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    ca.export(
        serial=octets(0x1234, REVOKED, UNKNOWN),
        status=pa.array([0, 0, 2], pa.uint8()),
        revoked_at=instants(None, None, None),
        reason=None,
    )

    found = findings(ca, pregen)

    assert {code: count for code, (count, _) in found.items()} == {
        "verify.absent": 1,
        "verify.status": 1,
        "verify.surplus": 1,
    }
    assert found["verify.absent"][1] == ["serial 1234 of r1: good in the snapshot"]
    assert found["verify.surplus"][1] == [f"serial {GOOD:x} of r1: good is published, the snapshot lacks it"]
    [example] = found["verify.status"][1]
    assert example.startswith(f"serial {REVOKED:x} of r1: revoked at ")
    assert example.endswith("with reason 1 is published, good in the snapshot")


@pytest.mark.parametrize("column", ["revoked_at", "reason"])
def test_time_and_reason_of_a_revocation_count_too(ca: Ca, pregen: Program, column: str) -> None:
    assert pregen("run", ca.config).code == 0
    other = {
        "revoked_at": instants(None, ca.now - timedelta(hours=2), None),
        "reason": pa.array([None, 4, None], pa.int8()),
    }
    if column == "reason":
        ca.export(reason=other["reason"])
    else:
        ca.export(revoked_at=other["revoked_at"])

    assert list(findings(ca, pregen)) == ["verify.status"]


def test_a_hash_that_is_configured_and_has_no_answers_makes_certificates_absent(ca: Ca, pregen: Program) -> None:
    ca.configure(issuer={"cert_ids": "sha1"})
    assert pregen("run", ca.config).code == 0
    assert pregen("verify", ca.store, "--against", ca.config).code == 0
    ca.configure()

    assert findings(ca, pregen)["verify.absent"][0] == 3


def test_what_an_urgent_change_says_is_right_and_counted(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").code == 0

    ended = pregen("verify", ca.store, "--against", ca.config, "--json")

    assert ended.code == 0, ended.err
    against = ended.document["against"]
    assert isinstance(against, dict)
    assert against["ahead"] == 1


def test_a_certificate_that_has_expired_is_no_surplus(ca: Ca, pregen: Program) -> None:
    ca.export(not_after=instants(ca.now - timedelta(hours=2), *[ca.now + timedelta(days=90)] * 2))
    ca.configure(snapshot={"keep_expired": "1d"})
    assert pregen("run", ca.config).code == 0
    ca.configure(snapshot={"keep_expired": "1h"})

    ended = pregen("verify", ca.store, "--against", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert ended.document["against"]["certificates"] == 2  # type: ignore[index]


def test_another_snapshot_can_be_named(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    other = ca.export(to="other.parquet", serial=octets(0x77, REVOKED, UNKNOWN))

    assert set(findings(ca, pregen, "--snapshot", other)) == {"verify.absent", "verify.surplus"}
    assert pregen("verify", ca.store, "--snapshot", other).code == 2


def test_it_leaves_nothing_behind(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    before = ca.stored()

    assert pregen("verify", ca.store, "--against", ca.config).code == 0

    assert ca.stored() == before
    ca.assert_clean()


def test_what_only_a_delta_has_is_no_surplus_though_a_later_snapshot_lacks_it(ca: Ca, pregen: Program) -> None:
    source = Source(ca, pregen)
    any_size = {"share": 1.0, "count": 1_000}
    ca.configure(validity={"profile": "lab", "lifetime": "4d"}, gates={"shrink": any_size, "growth": any_size})
    assert source.run(as_of=ca.now - timedelta(minutes=30)).code == 0
    source.rows[NEW] = "good", None
    source.export()
    assert pregen("delta", ca.config, ca.snapshot.rename(ca.folder / "delta.parquet")).code == 0
    del source.rows[NEW]
    ended = source.run()
    assert ended.code == 0, ended.err
    assert source.says(NEW)[0] == "good"

    assert "their answers stay, in an overlay" in ended.err
    assert "unauthorized" not in ended.err
    found = pregen("verify", ca.store, "--against", ca.config, "--json")
    assert found.code == 0, found.err
    assert (found.document["against"]["alone"], found.document["against"]["ahead"]) == (1, 0)  # type: ignore[index]
    accepted = source.run("--accept", "shrink", "--reason", "it was never issued")
    assert accepted.code == 0, accepted.err
    assert pregen("verify", ca.store, "--against", ca.config, "--json").document["against"]["alone"] == 0  # type: ignore[index]


def test_what_a_rollback_keeps_good_is_no_surplus_beside_the_earlier_snapshot(ca: Ca, pregen: Program) -> None:
    source = Source(ca, pregen)
    assert source.run(as_of=ca.now - timedelta(minutes=30)).code == 0
    earlier = ca.snapshot.rename(ca.folder / "earlier.parquet")
    source.rows[NEW] = "good", None
    assert source.run().code == 0
    ended = pregen("rollback", ca.config, "--to", 1, "--reason", "a bad snapshot")
    assert ended.code == 0, ended.err

    found = pregen("verify", ca.store, "--against", ca.config, "--snapshot", earlier, "--json")

    assert found.code == 0, found.err
    assert found.document["against"]["alone"] == 1  # type: ignore[index]
