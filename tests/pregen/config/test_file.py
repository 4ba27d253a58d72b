import json
import pickle
import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import ColumnConfig, Config, GatesConfig, GrowthLimit, Limit, load_config, parse_duration
from pregen.errors import ConfigError

ISSUER = """
[[issuer]]
name = "r1"
certificate = "issuer.pem"
key = "ocsp.key"
"""
PUBLISH = """
[publish]
store = "file:///var/lib/pregen"
"""
FULL = """
[snapshot]
path = "snapshots/*.parquet"
keep_expired = "10d"
as_of = 2026-11-24T01:30:00.9+01:30
[snapshot.columns]
issuer = "CA"
serial = { name = "serial_hex", encoding = "hex" }
status = { name = "STATE", values = { good = ["20"], revoked = ["40", "41"], excluded = ["60"] } }
reason = { name = "REASON", values = { absent = ["-1"], keyCompromise = ["K"], 4 = ["S"] } }

[[issuer]]
name = ["r1", "r1-cross"]
certificate = ["issuer.pem", "/etc/pki/cross.pem"]
responder_certificate = "ocsp.pem"
key = "ocsp.key"
key_passphrase_env = "OCSP_KEY_PASS"
responder_id = "by-name"
cert_ids = "combined"
rsa_padding = "pss"
on_trouble = "leave-behind"

[validity]
profile = "lab"
lifetime = "90m"
backdate = "1m"

[refresh]
every = "6h"
missed_runs = 2
spread = false

[run]
workers = 3
engine = "software"
spool = "spill"

[publish]
store = "s3://bucket/prefix"
s3 = { endpoint = "http://127.0.0.1:8333", region = "us-east-1" }
keep = { generations = 7, days = 14 }
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "pregen.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def mistakes(folder: Path, text: str, *, with_files: bool = False) -> dict[str, list[str]]:
    """Return the messages of a configuration that is refused, by code, without the path that each begins with.

    Most tests make no files, so that these are missing is said on demand alone.
    """
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    found: dict[str, list[str]] = {}
    for finding in caught.value.findings:
        assert finding.severity == "error"
        if finding.code == "config.missing-file" and not with_files:
            continue
        assert finding.message.startswith(f"{folder / 'pregen.toml'}: ")
        found.setdefault(finding.code, []).append(finding.message.removeprefix(f"{folder / 'pregen.toml'}: "))
    return found


def test_every_field_arrives(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)

    assert config.path == tmp_path / "pregen.toml"
    assert config.snapshot.path == "snapshots/*.parquet"
    assert config.snapshot.keep_expired_s == 864_000
    assert config.snapshot.as_of == datetime(2026, 11, 24, tzinfo=UTC)
    assert config.snapshot.columns["issuer"] == "CA"
    assert config.snapshot.columns["serial"] == ColumnConfig(name="serial_hex", encoding="hex")
    (issuer,) = config.issuer
    assert issuer.names == ("r1", "r1-cross")
    assert [config.resolve(name) for name in issuer.certificates] == [
        tmp_path / "issuer.pem",
        Path("/etc/pki/cross.pem"),
    ]
    assert (issuer.responder_id, issuer.cert_ids, issuer.rsa_padding) == ("by-name", "combined", "pss")
    assert config.validity.lifetime_span == timedelta(minutes=90)
    assert config.validity.backdate_span == timedelta(minutes=1)
    assert issuer.on_trouble == "leave-behind"
    assert (config.refresh.every_s, config.refresh.missed_runs, config.refresh.spread) == (21_600, 2, False)
    assert (config.publish.keep.generations, config.publish.keep.days) == (7, 14)
    assert (config.run.workers, config.run.engine, config.run.spool) == (3, "software", "spill")
    assert config.store.url == "s3://bucket/prefix"
    assert config.publish.s3.endpoint == "http://127.0.0.1:8333"


def test_the_least_configuration_has_strict_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, ISSUER + PUBLISH)

    assert config.issuer[0].names == ("r1",)
    issuer = config.issuer[0]
    assert (issuer.responder_id, issuer.cert_ids, issuer.rsa_padding) == ("by-key", "separate", "pkcs1v15")
    assert (config.validity.profile, config.validity.lifetime) == ("strict", "4d")
    assert config.snapshot.keep_expired_s == 0
    assert config.snapshot.as_of is None
    assert config.run.workers == 0
    assert (config.refresh.every, config.refresh.missed_runs, config.refresh.spread) == ("1d", 1, True)
    assert issuer.on_trouble == "refuse"
    assert not config.publish.keep.is_given


def test_a_configuration_travels_to_a_worker(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)

    assert pickle.loads(pickle.dumps(config)) == config


def test_expired_certificates_can_be_kept_for_ever(tmp_path: Path) -> None:
    assert load(tmp_path, '[snapshot]\nkeep_expired = "all"\n' + ISSUER + PUBLISH).snapshot.keep_expired_s is None


def test_paths_start_at_the_folder_of_the_file_not_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "pregen.toml").write_text(ISSUER + '[publish]\nstore = "answers"\n')
    monkeypatch.chdir(tmp_path)

    config = load_config(Path("ca/pregen.toml"))

    assert config.folder == tmp_path / "ca"
    assert config.store.url == (tmp_path / "ca" / "answers").as_uri()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[validty]\n", "validty: is not a known field; did you mean 'validity'?"),
        (
            "[zzz]\n",
            "zzz: is not a known field; known here: snapshot, issuer, validity, refresh, gates, run, cluster, publish",
        ),
        ('[snapshot]\npth = "x"\n', "snapshot.pth: is not a known field; did you mean 'path'?"),
        (
            '[snapshot.columns]\nnotafter = "x"\n',
            "snapshot.columns.notafter: is not a known field; did you mean 'not_after'?",
        ),
        (
            '[snapshot.columns.serial]\nencodng = "hex"\n',
            "snapshot.columns.serial.encodng: is not a known field; did you mean 'encoding'?",
        ),
    ],
)
def test_an_unknown_field_is_named_with_its_nearest_known_one(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text + ISSUER + PUBLISH) == {"config.unknown-field": [expected]}


def test_an_unknown_field_of_an_issuer_or_a_store_is_named_too(tmp_path: Path) -> None:
    text = ISSUER + 'certficate = "x"\n' + PUBLISH + 's3 = { endpont = "http://h" }\n'

    assert mistakes(tmp_path, text) == {
        "config.unknown-field": [
            "publish.s3.endpont: is not a known field; did you mean 'endpoint'?",
            "issuer[\"r1\"].certficate: is not a known field; did you mean 'certificate'?",
        ]
    }


def test_an_unknown_field_does_not_hide_what_is_wrong_beside_it(tmp_path: Path) -> None:
    found = mistakes(tmp_path, '[validity]\nlifetme = "3d"\nlifetime = "8d"\n' + ISSUER + PUBLISH)

    assert set(found) == {"config.unknown-field", "config.lifetime"}


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        (
            "[snapshot]\npath = 3\n",
            "config.wrong-type",
            "snapshot.path: must be a text, not a number; write it in quotes",
        ),
        ("[snapshot]\npath = ['a']\n", "config.wrong-type", "snapshot.path: must be a text, not a list"),
        (
            "[snapshot]\nkeep_expired = 3\n",
            "config.wrong-type",
            'snapshot.keep_expired: must be a duration such as "4d", or "all", not a number',
        ),
        (
            "[snapshot]\nkind = 'crl'\ncrls = true\n",
            "config.wrong-type",
            "snapshot.crls: must be a text or a list of texts, not a truth value; write it in quotes",
        ),
        (
            "[snapshot.columns]\nrevoked_at = { absent = [-1] }\n",
            "config.wrong-type",
            "snapshot.columns.revoked_at.absent[0]: must be a text, not a whole number; write it in quotes",
        ),
        (
            "[validity]\nlifetime = 4\n",
            "config.wrong-type",
            'validity.lifetime: must be a duration such as "4d", not a number',
        ),
        (
            "[validity]\nend_with_certificate = 'yes'\n",
            "config.wrong-type",
            "validity.end_with_certificate: must be true or false, not a text",
        ),
        (
            "[run]\nworkers = true\n",
            "config.wrong-type",
            "run.workers: must be a whole number from 0 on, not a truth value",
        ),
        ("[run]\nworkers = -1\n", "config.bad-value", "run.workers: must be a whole number from 0 on, not -1"),
        ("snapshot = 3\n", "config.wrong-type", "snapshot: must be a table, not a number"),
        ("[snapshot]\ncolumns = 'x'\n", "config.wrong-type", "snapshot.columns: must be a table, not a text"),
        (
            "[snapshot.columns]\nserial = ['x']\n",
            "config.wrong-type",
            "snapshot.columns.serial: must be the column's name in the files, or a table with it; not a list",
        ),
        (
            "[snapshot.columns]\nstatus = { values = { good = [20] } }\n",
            "config.wrong-type",
            "snapshot.columns.status.values.good[0]: must be a text, not a whole number; write it in quotes",
        ),
        (
            "[validity]\nprofile = 'strikt'\n",
            "config.bad-value",
            (
                "validity.profile: 'strikt' is not one of strict, cabf-tls, cabf-smime, cabf-cs, mozilla, "
                "microsoft, offline-ca, lab; "
                "did you mean 'strict'?"
            ),
        ),
        (
            "[snapshot]\nas_of = 2026-11-24T00:00:00\n",
            "config.naive-time",
            "snapshot.as_of: 2026-11-24T00:00:00 names no zone: append Z for UTC, or an offset such as -07:00",
        ),
        (
            "[snapshot]\nas_of = 2026-11-24\n",
            "config.naive-time",
            "snapshot.as_of: 2026-11-24 is a day, not an instant: write 2026-11-24T00:00:00Z, or the time you mean",
        ),
        (
            "[snapshot]\nas_of = '2026-11-24T00:00:00'\n",
            "config.wrong-type",
            "snapshot.as_of: must be an instant with its zone, such as 2026-11-24T00:00:00Z, not '2026-11-24T00:00:00'",
        ),
        (
            "[snapshot]\nkeep_expired = 'ever'\n",
            "config.duration",
            "snapshot.keep_expired: 'ever' is not a duration: write an integer and one of s, m, h, d, such as 4d",
        ),
        (
            "[validity]\nlifetime = '15h'\n",
            "config.lifetime",
            (
                "validity.lifetime: profile strict allows at least 16h, not 15h: lengthen lifetime, "
                "or use profile cabf-tls, cabf-smime, cabf-cs, mozilla or microsoft if no other rules bind this issuer"
            ),
        ),
        (
            "[validity]\nlifetime = '8d'\n",
            "config.lifetime",
            (
                "validity.lifetime: profile strict allows at most 7d, not 8d: shorten lifetime, "
                "or use profile cabf-tls, cabf-smime, cabf-cs or mozilla if no other rules bind this issuer"
            ),
        ),
        (
            "[validity]\nbackdate = '4d'\n",
            "config.bad-value",
            "validity.backdate: must be shorter than the lifetime of 4d, else answers would be born expired",
        ),
        (
            "[snapshot.columns]\nstatus = { encoding = 'hex' }\n",
            "config.bad-value",
            (
                "snapshot.columns.status.encoding: only serials and times have one, which are the columns serial, "
                "revoked_at, not_before, not_after: leave it out"
            ),
        ),
        (
            "[snapshot.columns]\nissuer = { values = { a = ['b'] } }\n",
            "config.bad-value",
            (
                "snapshot.columns.issuer.values: only the columns status, reason, kind, needs_ocsp translate values: "
                "leave it out"
            ),
        ),
        (
            "[snapshot.columns]\nstatus = { values = { valid = ['b'] } }\n",
            "config.bad-value",
            "snapshot.columns.status.values: 'valid' is no status: the keys are good, revoked, unknown, excluded",
        ),
        (
            "[snapshot.columns]\nstatus = { values = { good = ['20', '20'], revoked = ['20'] } }\n",
            "config.bad-value",
            "snapshot.columns.status.values: '20' cannot mean both good and revoked: keep one of them",
        ),
        (
            "[snapshot.columns]\nserial = ''\n",
            "config.bad-value",
            "snapshot.columns.serial: must not be empty: name the column as the files call it",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_remedy(tmp_path: Path, text: str, code: str, expected: str) -> None:
    assert mistakes(tmp_path, text + ISSUER + PUBLISH) == {code: [expected]}


@pytest.mark.parametrize("reason", ["7", "8", "removeFromCRL", "keycompromise"])
def test_a_reason_that_no_answer_can_carry_is_refused(tmp_path: Path, reason: str) -> None:
    text = f"[snapshot.columns]\nreason = {{ values = {{ {reason} = ['x'] }} }}\n"

    (message,) = mistakes(tmp_path, text + ISSUER + PUBLISH)["config.bad-value"]

    assert message.startswith(f"snapshot.columns.reason.values: {reason!r} is no reason: the keys are unspecified,")


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("memory:", "memory: is no kind of store: write a path, file:///path or s3://bucket/prefix"),
        ("memory://x", "memory: is no kind of store"),
        ("gs://bucket", "gs: is no kind of store"),
        ("gs:bucket", "gs: is no kind of store"),
        ("file://var/lib", "'file://var/lib' is not file:///path: three slashes"),
        ("file:var/lib", "'file:var/lib' is not file:///path: three slashes"),
        ("s3://", "after s3:// the name of a bucket is needed"),
        ("s3:///prefix", "after s3:// the name of a bucket is needed"),
        ("s3:bucket/prefix", "after s3:// the name of a bucket is needed"),
        ("s3:/bucket/prefix", "after s3:// the name of a bucket is needed"),
        ("s3://id:key@bucket/ca", "after s3:// the name of a bucket is needed"),
        ("s3://bucket//ca", "'/ca' cannot be a prefix"),
        ("", "the address of the store is empty"),
    ],
)
def test_a_store_that_cannot_be_is_refused(tmp_path: Path, store: str, expected: str) -> None:
    (message,) = mistakes(tmp_path, ISSUER + f'[publish]\nstore = "{store}"\n')["config.bad-value"]

    assert message.startswith(f"publish.store: {expected}")


@pytest.mark.parametrize("spool", ["s3://bucket/ca", "s3://bucket", "s3://bucket/ca/spool"])
def test_a_spool_may_not_be_in_the_store_nor_the_store_in_it(tmp_path: Path, spool: str) -> None:
    text = ISSUER + f'[run]\nspool = "{spool}"\n[publish]\nstore = "s3://bucket/ca"\n'
    assert mistakes(tmp_path, text)["config.bad-value"] == [
        "run.spool: must be another place than the store, and neither in the other: both are cleaned"
    ]
    load(tmp_path, text.replace(f'{spool}"', 's3://bucket/ca-spool"', 1))


@pytest.mark.parametrize("endpoint", ["localhost:8333", "http://", "ftp://h", "", "https://id:key@host"])
def test_an_endpoint_that_is_no_address_is_refused(tmp_path: Path, endpoint: str) -> None:
    text = ISSUER + f'[publish]\nstore = "s3://bucket"\ns3 = {{ endpoint = "{endpoint}" }}\n'

    assert mistakes(tmp_path, text) == {
        "config.bad-value": [
            "publish.s3.endpoint: the endpoint must be http://host:port or https://host:port, without credentials"
        ]
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('cert_ids = "combine"', "'combine' is not one of separate, combined, sha1, sha256; did you mean 'combined'?"),
        ('rsa_padding = "PSS"', "'PSS' is not one of pkcs1v15, pss"),
    ],
)
def test_choices_are_listed_where_none_of_them_is_made(tmp_path: Path, line: str, message: str) -> None:
    (found,) = mistakes(tmp_path, f"{ISSUER}{line}\n{PUBLISH}")["config.bad-value"]

    assert message in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PUBLISH, "issuer: at least one [[issuer]] with name, certificate and key is needed"),
        (ISSUER, "publish.store: is required in this section"),
        ('[[issuer]]\nname = "r1"\nkey = "k"\n' + PUBLISH, 'issuer["r1"].certificate: is required in this section'),
        ('[[issuer]]\ncertificate = "c"\nkey = "k"\n' + PUBLISH, "issuer[0].name: is required in this section"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text) == {"config.missing-field": [expected]}


def test_an_issuer_in_single_brackets_is_explained(tmp_path: Path) -> None:
    text = ISSUER.replace("[[issuer]]", "[issuer]") + PUBLISH

    assert mistakes(tmp_path, text) == {
        "config.wrong-type": ["issuer: is one of a list: write [[issuer]], with two brackets each"]
    }


@pytest.mark.parametrize("field", ["name", "certificate"])
@pytest.mark.parametrize("value", ['""', "[]", '["a", ""]'])
def test_an_empty_name_or_file_is_refused(tmp_path: Path, field: str, value: str) -> None:
    fields = {"name": '"r1"', "certificate": '"c.pem"', "key": '"k"', field: value}
    text = "[[issuer]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items()) + PUBLISH

    (message,) = mistakes(tmp_path, text)["config.bad-value"]

    assert f".{field}: must not be empty: " in message


def test_a_name_that_two_sections_claim_is_refused(tmp_path: Path) -> None:
    text = ISSUER + ISSUER.replace('"r1"', '["r2", "r1"]') + PUBLISH

    (message,) = mistakes(tmp_path, text).pop("config.duplicate")
    assert message.startswith(
        "issuer[\"r2\"].name: the name 'r1' is taken by issuer number 1 already: names are unique"
    )
    assert "issuer_key in [snapshot.columns]" in message


def test_all_mistakes_are_reported_in_one_go(tmp_path: Path) -> None:
    text = "[snapshot]\nkeep_expired = 1\nas_of = 2026-11-24\n[run]\nworker = 1\n[[issuer]]\nname = 'a'\nkey = 3\n"

    found = mistakes(tmp_path, text)

    assert {code: len(messages) for code, messages in found.items()} == {
        "config.wrong-type": 2,
        "config.naive-time": 1,
        "config.unknown-field": 1,
        "config.missing-field": 2,
    }


def test_a_mistake_hides_none_in_other_fields_of_its_section(tmp_path: Path) -> None:
    text = """
    [snapshot]
    kind = "filse"
    keep_expired = "4x"
    partitioning = "directory"
    anchor = [{}, { crl = 7 }]
    [snapshot.columns]
    status = { name = 3 }
    not_after = { encoding = "epoch" }
    [[issuer]]
    name = "a"
    certificate = ["there.pem", "gone.pem"]
    responder_certificate = ""
    key = 3
    validity = { profile = "strikt", lifetime = "5y" }
    [[issuer]]
    name = "a"
    certificate = "there.pem"
    key = "gone.key"
    [validity]
    profile = "stict"
    lifetime = "4"
    [gates]
    skew = "2d"
    stale_snapshot = 1
    [run]
    workers = -1
    engine = "abacus"
    [publish]
    store = "ftp://x"
    s3 = { endpoint = "nowhere", region = 1 }
    """
    (tmp_path / "there.pem").touch()

    found = mistakes(tmp_path, text, with_files=True)

    places = {message.partition(": ")[0] for messages in found.values() for message in messages}
    assert places == {
        "snapshot.kind",
        "snapshot.keep_expired",
        "snapshot.partition_columns",
        "snapshot.anchor[0].certificate",
        "snapshot.anchor[1].crl",
        "snapshot.columns.status.name",
        "snapshot.columns.not_after.encoding",
        'issuer["a"].certificate',
        'issuer["a"].responder_certificate',
        'issuer["a"].key',
        'issuer["a"].name',
        'issuer["a"].validity.profile',
        'issuer["a"].validity.lifetime',
        "validity.profile",
        "validity.lifetime",
        "gates.skew",
        "gates.stale_snapshot",
        "run.workers",
        "run.engine",
        "publish.store",
        "publish.s3.endpoint",
        "publish.s3.region",
    }
    assert len(found["config.missing-file"]) == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[snapshot]\nkind = "clr"\ncrls = ["x.crl"]\n', "snapshot.kind"),
        ('[snapshot]\npartitioning = "dir"\npartition_columns = ["issuer"]\n', "snapshot.partitioning"),
        ('[validity]\nprofile = "lba"\nlifetime = "30d"\n', "validity.profile"),
        ('[validity]\nlifetime = 30\nbackdate = "5d"\n', "validity.lifetime"),
    ],
)
def test_what_depends_on_a_field_that_cannot_be_read_is_no_mistake_of_its_own(
    tmp_path: Path, text: str, place: str
) -> None:
    for name in ("i.pem", "i.key"):
        (tmp_path / name).touch()
    rest = '[[issuer]]\nname = "a"\ncertificate = "i.pem"\nkey = "i.key"\n[publish]\nstore = "store"\n'

    found = mistakes(tmp_path, text + rest, with_files=True)

    assert [message.partition(": ")[0] for messages in found.values() for message in messages] == [place]


@pytest.mark.parametrize("policy", ['ambiguous = "latest"', 'nonexistent = "shift-forward"'])
def test_what_a_clock_change_means_is_said_of_a_declared_zone_alone(tmp_path: Path, policy: str) -> None:
    text = f'[snapshot.columns]\nrevoked_at = {{ name = "REVOKED", {policy} }}\n'

    (found,) = mistakes(tmp_path, text + ISSUER + PUBLISH)["config.bad-value"]

    assert found == (
        "snapshot.columns.revoked_at.zone: is needed where clock changes are to be dealt with: name it, as in "
        'zone = "America/Denver"'
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[snapshot]\nkind = "crl"\ncrls = ["a.crl", ""]\n', "snapshot.crls"),
        ('[snapshot]\npartitioning = "directory"\npartition_columns = [""]\n', "snapshot.partition_columns"),
        ('[run]\nspool = ""\n', "run.spool"),
        ('[snapshot]\ns3 = { region = "" }\n', "snapshot.s3.region"),
    ],
)
def test_a_field_that_is_empty_is_not_the_same_as_one_that_is_left_out(tmp_path: Path, text: str, place: str) -> None:
    assert mistakes(tmp_path, text + ISSUER + PUBLISH) == {
        "config.bad-value": [f"{place}: must not be empty: fill it in, or leave the field out"]
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('also = ["r0", ""]', "also: must not be empty: fill it in, or leave the field out"),
        ('key_passphrase_env = ""', "key_passphrase_env: must not be empty: fill it in, or leave the field out"),
        ('responder_certificate = ""', "responder_certificate: must not be empty: fill it in, or leave the field out"),
        ("validity = { profile = 'strikt' }", "validity.profile: 'strikt' is not one of strict, cabf-tls, "),
    ],
)
def test_what_is_optional_in_an_issuer_is_judged_as_elsewhere(tmp_path: Path, line: str, expected: str) -> None:
    (found,) = mistakes(tmp_path, f"{ISSUER}{line}\n{PUBLISH}")["config.bad-value"]

    assert found.startswith(f'issuer["r1"].{expected}')


def test_a_mistake_in_a_column_hides_none_in_its_other_fields(tmp_path: Path) -> None:
    text = """
    [snapshot.columns]
    not_after = { ambiguous = "first", nonexistent = "shift-forward", zone = 3, time_of_day = "24:00:00", absent = "0" }
    status = { encoding = "hex", values = { good = "20", revoked = [40], active = ["1"] } }
    """

    found = mistakes(tmp_path, text + ISSUER + PUBLISH)

    assert sorted(message.partition(": ")[0] for messages in found.values() for message in messages) == [
        "snapshot.columns.not_after.absent",
        "snapshot.columns.not_after.ambiguous",
        "snapshot.columns.not_after.time_of_day",
        "snapshot.columns.not_after.zone",
        "snapshot.columns.status.encoding",
        "snapshot.columns.status.values.good",
        "snapshot.columns.status.values.revoked[0]",
    ]


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    (message,) = mistakes(tmp_path, "[snapshot]\npath = \n")["config.syntax"]

    assert "line 2" in message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pregen.toml").write_bytes(b"a = '\xff'")

    with pytest.raises(ConfigError, match="not UTF-8 at octet 5"):
        load_config(tmp_path / "pregen.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read: No such file"):
        load_config(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90m", 5_400), ("16h", 57_600), ("7d", 604_800), ("36525d", 3_155_760_000)]
)
def test_durations_are_an_integer_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "4", "d", "-1d", "1.5h", "4 d", "4D", "4w", "٤d", "36526d", "4d\n"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|century"):
        parse_duration(text)


def toml(value: object) -> str:
    """Write a value as an inline TOML one."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


NAMES = st.sampled_from(sorted({*re.findall(r"\w+", FULL), "endpoint", "good"}))
VALUES = st.recursive(
    st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "4d", "1s", "strict", "lab", "hex", "all", "s3://b", "file:///x", "memory:", "localhost:80"])
    | st.dates()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(raw=st.dictionaries(NAMES, VALUES, max_size=5))
def test_whatever_a_file_holds_is_taken_or_explained(
    raw: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "\n".join(f"{name} = {toml(value)}" for name, value in raw.items())
    try:
        config = load(tmp_path_factory.getbasetemp(), text)
    except ConfigError as error:
        assert error.findings  # noqa: PT017 both outcomes are right, and each has its own proof
    else:
        assert config.issuer
        assert config.validity.lifetime_span > config.validity.backdate_span


def test_of_a_limit_the_half_that_is_not_given_is_the_default_of_its_gate(tmp_path: Path) -> None:
    text = "[gates]\nshrink = { count = 500 }\ngrowth = { share = 2 }\nduplicate = {}\n" + ISSUER + PUBLISH
    gates = load(tmp_path, text).gates

    assert gates.shrink == Limit(share=0.001, count=500)
    assert gates.growth == GrowthLimit(share=2.0, count=10_000)
    assert gates.duplicate == GatesConfig().duplicate


@pytest.mark.parametrize("value", ["500", '"500"', '{ share = "5%" }', "{ share = 0.1, count = 1.5 }"])
def test_a_limit_of_a_wrong_type_is_refused_with_an_example(tmp_path: Path, value: str) -> None:
    [text] = mistakes(tmp_path, f"[gates]\nshrink = {value}\n" + ISSUER + PUBLISH)["config.wrong-type"]

    assert text.startswith("gates.shrink")
    assert text.endswith(", as in { share = 0.001, count = 100 }")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("shrink = { share = 5 }", "shrink.share: must be a number from 0 to 1, not 5, as in { share = 0.001, "),
        ("shrink = { share = -0.1 }", "shrink.share: must be a number from 0 to 1, not -0.1, as in "),
        ("shrink = { share = nan }", "shrink.share: must be a number from 0 to 1, not nan, as in "),
        ("mass_revocation = { share = 1.5 }", "mass_revocation.share: must be a number from 0 to 1, not 1.5, as in "),
        ("duplicate = { share = inf }", "duplicate.share: must be a number from 0 to 1, not inf, as in "),
        ("growth = { share = 2000 }", "growth.share: must be a number from 0 to 1000, not 2000, as in { share = 1.0, "),
        ("growth = { count = -1 }", "growth.count: must be a whole number from 0 on, not -1, as in { share = 1.0, "),
        ("issuer_missing = -1", "issuer_missing: must be a whole number from 0 on, not -1"),
        ("unrevoke = -1", "unrevoke: must be a whole number from 0 on, not -1"),
        ("rows_invalid = -2", "rows_invalid: must be a whole number from 0 on, not -2"),
        (
            'stale_snapshot = "0s"',
            "stale_snapshot: '0s' would refuse a snapshot that is a second old: write 1s or more",
        ),
        ('skew = "25h"', "skew: '25h' is more than a day, and hardly any wrong zone reaches further"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_named_with_what_is_allowed(
    tmp_path: Path, line: str, expected: str
) -> None:
    [text] = mistakes(tmp_path, f"[gates]\n{line}\n" + ISSUER + PUBLISH)["config.bad-value"]

    assert text.startswith(f"gates.{expected}")


@pytest.mark.parametrize("field", ["skew", "stale_snapshot"])
def test_a_negative_threshold_is_called_so(tmp_path: Path, field: str) -> None:
    assert mistakes(tmp_path, f'[gates]\n{field} = "-5m"\n' + ISSUER + PUBLISH) == {
        "config.duration": [f"gates.{field}: '-5m' is a negative duration: write it without the sign, such as 4d"]
    }


@pytest.mark.parametrize(
    "line",
    [
        'skew = "0s"',
        'skew = "1d"',
        'stale_snapshot = "1s"',
        "shrink = { share = 1, count = 0 }",
        "duplicate = { share = 0 }",
        "growth = { share = 1000 }",
        "unrevoke = 0",
    ],
)
def test_the_strictest_and_the_widest_threshold_are_taken(tmp_path: Path, line: str) -> None:
    name, value = tomllib.loads(line).popitem()
    taken = getattr(load(tmp_path, f"[gates]\n{line}\n" + ISSUER + PUBLISH).gates, name)

    if isinstance(value, dict):
        assert {key: getattr(taken, key) for key in value} == value
    else:
        assert taken == value


def test_an_encoding_that_is_nearly_one_is_named(tmp_path: Path) -> None:
    text = '[snapshot.columns]\nnot_after = { encoding = "epoch_ms" }\nserial = { encoding = "hexx" }\n'
    one, other = mistakes(tmp_path, text + ISSUER + PUBLISH)["config.bad-value"]

    assert one.endswith("; did you mean 'epoch-ms'?")
    assert other.endswith("; did you mean 'hex'?")


@pytest.mark.parametrize(
    ("lines", "advice"),
    [
        ('partitioning = "directory"', 'name them: partition_columns = ["issuer", ...], the outermost folder first'),
        ('partition_columns = ["day"]', 'belongs to partitioning = "directory" alone: set that, or leave it out'),
    ],
)
def test_folders_that_are_values_need_the_names_of_their_columns(tmp_path: Path, lines: str, advice: str) -> None:
    [text] = mistakes(tmp_path, f"[snapshot]\n{lines}\n" + ISSUER + PUBLISH)["config.bad-value"]

    assert text.startswith("snapshot.partition_columns: ")
    assert advice in text


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        ('every = "0s"', "bad-value", "every: '0s' is not how often runs can take place: write 1m to 366d, such as 1d"),
        ('every = "59s"', "bad-value", "every: '59s' is not how often runs can take place"),
        ('every = "367d"', "bad-value", "every: '367d' is not how often runs can take place"),
        ('every = "-1d"', "duration", "every: '-1d' is a negative duration"),
        ('every = "daily"', "duration", "every: 'daily' is not a duration: write an integer and one of s, m, h, d"),
        ("every = 1", "wrong-type", 'every: must be a duration such as "4d", not a number'),
        ("missed_runs = -1", "bad-value", "missed_runs: must be a whole number from 0 to 1000, not -1"),
        ("missed_runs = 1001", "bad-value", "missed_runs: must be a whole number from 0 to 1000, not 1001"),
        ("missed_runs = 1.5", "wrong-type", "missed_runs: must be a whole number from 0 to 1000, not a number with"),
        ("missed_runs = true", "wrong-type", "missed_runs: must be a whole number from 0 to 1000, not a truth value"),
        ('spread = "no"', "wrong-type", "spread: must be true or false, not a text"),
        ("evry = 1", "unknown-field", "evry: is not a known field; did you mean 'every'?"),
    ],
)
def test_a_refresh_that_makes_no_sense_is_named_with_what_is_allowed(
    tmp_path: Path, line: str, code: str, expected: str
) -> None:
    [text] = mistakes(tmp_path, f"[refresh]\n{line}\n" + ISSUER + PUBLISH)[f"config.{code}"]

    assert text.startswith(f"refresh.{expected}")


@pytest.mark.parametrize("line", ['every = "1m"', 'every = "366d"', "missed_runs = 0", "missed_runs = 1000"])
def test_the_bounds_of_a_refresh_are_taken(tmp_path: Path, line: str) -> None:
    name, value = tomllib.loads(line).popitem()

    assert getattr(load(tmp_path, f"[refresh]\n{line}\n" + ISSUER + PUBLISH).refresh, name) == value


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        ("{}", "bad-value", "generations: an empty table keeps nothing: write { generations = 7, days = 14 }"),
        ("{ generations = 0 }", "bad-value", "generations: must be a whole number from 1 to 10000, not 0"),
        ("{ days = -1 }", "bad-value", "days: must be a whole number from 0 to 36525, not -1"),
        ('{ days = "14d" }', "wrong-type", "days: must be a whole number from 0 to 36525, not a text"),
        ("{ day = 14 }", "unknown-field", "day: is not a known field; did you mean 'days'?"),
    ],
)
def test_what_keeps_no_generation_is_named(tmp_path: Path, value: str, code: str, expected: str) -> None:
    texts = mistakes(tmp_path, ISSUER + PUBLISH + f"keep = {value}\n")[f"config.{code}"]

    assert texts[0].startswith(f"publish.keep.{expected}")


def test_one_rule_is_enough_to_keep_generations(tmp_path: Path) -> None:
    kept = load(tmp_path, ISSUER + PUBLISH + "keep = { days = 0 }\n").publish.keep

    assert kept.is_given
    assert kept.generations is None


def test_a_word_that_is_no_answer_to_trouble_is_named(tmp_path: Path) -> None:
    assert mistakes(tmp_path, ISSUER + 'on_trouble = "leave_behind"\n' + PUBLISH) == {
        "config.bad-value": [
            "issuer[\"r1\"].on_trouble: 'leave_behind' is not one of refuse, leave-behind; did you mean 'leave-behind'?"
        ]
    }
