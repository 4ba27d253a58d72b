"""Issuers that cannot sign, and may be left behind."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pregen.errors import ConfigError
from pregen.issuers import Issuer, load_issuers
from tests import pki
from tests.pki import DAY, NOW
from tests.pregen.issuers.office import Fields, Office


def sections(office: Office, **changes: str | list[str]) -> list[Fields]:
    """Return the sections of two issuers that are right; `changes` are of the second one."""
    made: list[Fields] = []
    for name in ("r1", "r2"):
        root = pki.make_issuer(f"Example {name}")
        root.write(office.folder, f"{name}-ca")
        pki.make_responder(root).write(office.folder, name)
        made.append(
            {
                "name": name,
                "certificate": f"{name}-ca.pem",
                "responder_certificate": f"{name}.pem",
                "key": f"{name}.key",
            }
        )
    made[1] |= changes
    return made


def troubles(office: Office, made: list[Fields]) -> dict[str, str]:
    """Return the trouble of each issuer that is left behind, and see that there is a warning of it."""
    issuers, findings = load_issuers(office.config(*made), NOW, leaving="as-configured")
    assert len(issuers) == len(made)
    assert {finding.severity for finding in findings} <= {"warning"}
    return {issuer.names[0]: issuer.trouble for issuer in issuers if issuer.trouble}


def ended_responder(office: Office, made: list[Fields]) -> None:
    root = pki.make_issuer("Example r2")
    root.write(office.folder, "r2-ca")
    pki.make_responder(root, not_before=NOW - 9 * DAY, not_after=NOW - DAY).write(office.folder, "r2")


def ended_issuer(office: Office, made: list[Fields]) -> None:
    root = pki.make_issuer("Example r2", not_after=NOW - DAY)
    root.write(office.folder, "r2-ca")
    pki.make_responder(root).write(office.folder, "r2")


def lost_key(office: Office, made: list[Fields]) -> None:
    (office.folder / "r2.key").unlink()


def damaged_key(office: Office, made: list[Fields]) -> None:
    (office.folder / "r2.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def locked_key(office: Office, made: list[Fields]) -> None:
    pki.write_key(office.folder / "r2.key", pki.make_key(), passphrase="secret")


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (ended_responder, "r2.pem: expired at "),
        (ended_issuer, "r2-ca.pem: expired at "),
        (lost_key, "r2.key: the key cannot be read: No such file"),
        (damaged_key, "r2.key: the key file holds no private key"),
        (locked_key, "r2.key: the key is encrypted: "),
    ],
)
def test_who_cannot_sign_is_left_behind_where_its_section_says_so(
    office: Office, trouble: Callable[[Office, list[Fields]], None], expected: str
) -> None:
    made = sections(office, on_trouble="leave-behind")
    trouble(office, made)

    left = troubles(office, made)
    assert list(left) == ["r2"]
    assert expected in left["r2"]
    default = {key: value for key, value in made[1].items() if key != "on_trouble"}
    for other in ({**made[1], "on_trouble": "refuse"}, default):
        with pytest.raises(ConfigError):
            load_issuers(office.config(made[0], other), NOW, leaving="as-configured")
    with pytest.raises(ConfigError):  # urgent changes are of issuers that can sign
        load_issuers(office.config(*made), NOW)


def test_nobody_is_left_behind_without_trouble(office: Office) -> None:
    assert troubles(office, sections(office, on_trouble="leave-behind")) == {}


def test_where_no_issuer_can_sign_all_are_refused(office: Office) -> None:
    made = [{**one, "on_trouble": "leave-behind"} for one in sections(office)]
    for name in ("r1", "r2"):
        (office.folder / f"{name}.key").unlink()

    with pytest.raises(ConfigError) as caught:
        load_issuers(office.config(*made), NOW, leaving="as-configured")

    assert [(one.code, one.severity) for one in caught.value.findings] == [("key.unreadable", "error")] * 2


def test_other_mistakes_are_refused_whatever_the_section_says(office: Office) -> None:
    made = sections(office, on_trouble="leave-behind")
    pki.write_key(office.folder / "r2.key", pki.make_key())  # another one's

    with pytest.raises(ConfigError) as caught:
        load_issuers(office.config(*made), NOW, leaving="as-configured")

    assert [one.code for one in caught.value.findings] == ["key.mismatch"]


def test_a_key_that_two_share_is_the_trouble_of_both_and_refuses_the_one_that_may_not_stay(office: Office) -> None:
    made = sections(office, on_trouble="leave-behind")
    third: Fields = {**made[0], "name": "r3"}
    root = pki.make_issuer("Example r3")
    root.write(office.folder, "r3-ca")
    third |= {"certificate": "r3-ca.pem", "responder_certificate": "r3.pem", "key": "r2.key"}
    key = pki.make_key()
    pki.make_responder(root, key=key).write(office.folder, "r3")
    other = pki.make_issuer("Example r2")
    other.write(office.folder, "r2-ca")
    pki.make_responder(other, key=key).write(office.folder, "r2")
    (office.folder / "r2.key").unlink()

    assert list(troubles(office, [*made, {**third, "on_trouble": "leave-behind"}])) == ["r2", "r3"]
    for listed in ([*made, third], [made[0], third, made[1]]):
        with pytest.raises(ConfigError) as caught:
            load_issuers(office.config(*listed), NOW, leaving="as-configured")
        errors = [one for one in caught.value.findings if one.severity == "error"]
        assert [one.message.partition(":")[0] for one in errors] == ['issuer "r3"']


def test_without_its_key_an_issuer_is_as_its_certificates_say(office: Office) -> None:
    made = sections(office, on_trouble="leave-behind", rsa_padding="pss")
    root = pki.make_issuer("Example r2")
    root.write(office.folder, "r2-ca")
    pki.make_responder(root, key=rsa.generate_private_key(65_537, 2_048)).write(office.folder, "r2")
    whole = _second(office, made)
    (office.folder / "r2.key").unlink()

    left = _second(office, made)

    assert left.responder == whole.responder
    assert (left.cert_ids, left.issuer_id, left.not_after) == (whole.cert_ids, whole.issuer_id, whole.not_after)


def _second(office: Office, made: list[Fields]) -> Issuer:
    (_, issuer), _ = load_issuers(office.config(*made), NOW, leaving="as-configured")
    return issuer
