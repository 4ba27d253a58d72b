import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from storage.certid import HASH_NAMES, SHA1, SHA256, CertID
from storage.der import oid_text
from storage.edge.record import ALARMS, LoggedRequest, OcspStatus, Outcome
from tests.storage.edge.answers import answer_to, cert_id

TIME = datetime(2026, 11, 24, 12, 30, 15, 123_456, tzinfo=UTC)
ASKED = cert_id(-0xABCD)
ANSWER = answer_to(ASKED)


def fields(record: LoggedRequest) -> dict[str, object]:
    line = record.line(TIME.timestamp(), "192.0.2.7", 87, "0a1b2c3d")
    assert "\n" not in line
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_a_line_says_who_asked_for_which_certificate_and_what_was_said() -> None:
    record = LoggedRequest(
        method="GET",
        outcome=Outcome.NOT_STORED,
        http=200,
        ocsp=OcspStatus.unauthorized,
        cert_id=ASKED,
        generation=42,
        body_bytes=5,
    )
    assert fields(record) == {
        "time": "2026-11-24T12:30:15.123Z",
        "remote": "192.0.2.7",
        "worker": "0a1b2c3d",
        "method": "GET",
        "http": 200,
        "ocsp": "unauthorized",
        "outcome": "not-stored",
        "hash": "sha1",
        "issuer_name_hash": ASKED.issuer_name_hash.hex(),
        "issuer_key_hash": ASKED.issuer_key_hash.hex(),
        "serial": "-abcd",
        "generation": 42,
        "bytes": 5,
        "microseconds": 87,
    }


def test_a_line_leaves_out_what_is_not_known() -> None:
    assert fields(LoggedRequest(method="PUT", outcome=Outcome.WRONG_METHOD, http=405)) == {
        "time": "2026-11-24T12:30:15.123Z",
        "remote": "192.0.2.7",
        "worker": "0a1b2c3d",
        "method": "PUT",
        "http": 405,
        "outcome": "wrong-method",
        "bytes": 0,
        "microseconds": 87,
    }


def test_an_unknown_hash_is_named_by_its_oid() -> None:
    record = LoggedRequest(
        method="GET", outcome=Outcome.UNKNOWN_HASH, http=200, cert_id=ASKED._replace(hash_oid="1.2.3")
    )

    assert fields(record)["hash"] == "1.2.3"


def test_damage_wrong_answers_and_defects_are_alarms_and_nothing_else() -> None:
    alarms = {
        outcome for outcome in Outcome if fields(LoggedRequest(method="GET", outcome=outcome, http=200)).get("alarm")
    }

    assert alarms == ALARMS == {Outcome.DAMAGED, Outcome.WRONG_ANSWER, Outcome.DEFECT}


def test_no_client_can_make_a_line_long_or_break_it() -> None:
    worst = CertID(oid_text(b"\x2a" + b"\7" * 63), bytes(64), bytes(64), b"\1" * 64)
    record = LoggedRequest(
        method="\n" * 9_999, outcome=Outcome.MALFORMED, http=200, cert_id=worst, detail="\x00é" * 9_999
    )

    assert len(record.line(TIME.timestamp(), "2001:db8::1", 1, "0a1b2c3d", 1_000_000)) < 4_096


CERT_IDS = st.builds(
    CertID,
    st.sampled_from([SHA1, SHA256, "1.2.840"]),
    st.binary(max_size=64),
    st.binary(max_size=64),
    st.binary(min_size=1, max_size=64),
)
RECORDS = st.builds(
    LoggedRequest,
    method=st.one_of(st.sampled_from(["GET", "POST"]), st.text()),
    outcome=st.sampled_from(Outcome),
    http=st.sampled_from([200, 304, None]),
    ocsp=st.one_of(st.none(), st.sampled_from(OcspStatus)),
    cert_id=st.one_of(st.none(), CERT_IDS),
    generation=st.one_of(st.none(), st.integers(0, 2**64)),
    body_bytes=st.integers(0, 10**6),
    detail=st.one_of(st.none(), st.text()),
    answer=st.sampled_from([None, ANSWER, ANSWER._replace(status="revoked")]),
    said=st.none(),
)


@given(
    RECORDS, st.floats(0, 2**33, allow_nan=False), st.text(max_size=40), st.integers(0, 10**9), st.sampled_from([1, 10])
)
def test_a_line_is_what_a_library_would_write(
    record: LoggedRequest, instant: float, remote: str, microseconds: int, weight: int
) -> None:
    time = datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    wanted: dict[str, object] = {"time": time, "remote": remote, "worker": "0a1b2c3d"}
    wanted |= {"method": record.method[:200], "http": record.http}
    if record.ocsp is not None:
        wanted["ocsp"] = record.ocsp.name
    wanted["outcome"] = record.outcome.value
    if record.answer is not None:
        wanted["status"] = record.answer.status
    if record.cert_id is not None:
        oid, name_hash, key_hash, _ = record.cert_id
        wanted |= {
            "hash": HASH_NAMES.get(oid, oid),
            "issuer_name_hash": name_hash.hex(),
            "issuer_key_hash": key_hash.hex(),
            "serial": f"{record.cert_id.serial_number:x}",
        }
    if record.generation is not None:
        wanted["generation"] = record.generation
    wanted |= {"bytes": record.body_bytes, "microseconds": microseconds}
    if weight != 1:
        wanted["weight"] = weight
    if record.detail is not None:
        wanted["detail"] = record.detail[:200]
    if record.outcome in ALARMS:
        wanted["alarm"] = True

    assert record.line(instant, remote, microseconds, "0a1b2c3d", weight) == json.dumps(wanted)
