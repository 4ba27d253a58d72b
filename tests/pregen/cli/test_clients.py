"""`pregen check` says which clients will refuse what is going to be signed."""

import pytest

from tests.pregen.cli.ca import Ca, Program


def warned(ca: Ca, pregen: Program, command: str) -> list[str]:
    findings = pregen(command, ca.config, "--json").document.get("findings", [])
    assert isinstance(findings, list)
    return [finding["code"] for finding in findings if finding["code"].startswith("clients.")]


@pytest.mark.parametrize(
    ("cert_ids", "codes"),
    [
        ("separate", []),
        ("sha1", []),
        ("combined", ["clients.combined"]),
        ("sha256", ["clients.sha256-alone"]),
    ],
)
def test_check_warns_of_forms_that_clients_refuse(ca: Ca, pregen: Program, cert_ids: str, codes: list[str]) -> None:
    ca.configure(issuer={"cert_ids": cert_ids})

    assert warned(ca, pregen, "check") == codes
    assert warned(ca, pregen, "run") == []  # it was decided


def test_nobody_is_warned_of_clients_that_a_private_ca_chooses_itself(ca: Ca, pregen: Program) -> None:
    ca.configure(issuer={"cert_ids": "combined"}, validity={"profile": "lab"})

    assert warned(ca, pregen, "check") == []


def test_the_warning_names_who_refuses_and_for_which_issuer(ca: Ca, pregen: Program) -> None:
    ca.configure(issuer={"cert_ids": "combined"})

    said = pregen("check", ca.config).err

    assert "HAProxy" in said
    assert "Caddy" in said
    assert "r1" in said
