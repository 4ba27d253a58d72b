from pathlib import Path

import numpy as np
import pytest

from pregen import clock
from pregen.snapshot import read_crls
from pregen.snapshot.crls.rules import effective_crls
from pregen.snapshot.crls.scope import out_of_scope, uncovered
from tests.pki import NOW, make_issuer, shared_key
from tests.pregen.snapshot.crls.authority import crl_issuer, forged, write

ISSUER = make_issuer(key=shared_key())
USER, CAS = {"only_contains_user_certs": True}, {"only_contains_ca_certs": True}


@pytest.mark.parametrize(
    ("scopes", "rows", "told"),
    [
        ([USER], (5, 0, 0), []),
        ([USER], (5, 2, 0), [("error", 2, "CA certificates would all be good")]),
        ([USER], (5, 0, 3), [("warning", 3, "CA certificates would be good, if there are any")]),
        ([USER], (0, 1, 3), [("error", 1, "CA certificates would all"), ("warning", 3, "if there are any")]),
        ([CAS], (0, 2, 0), []),
        ([CAS], (0, 0, 0), []),
        ([CAS], (5, 2, 0), [("error", 5, "end-entity certificates would all be good")]),
        ([CAS], (5, 2, 1), [("error", 6, "end-entity certificates would all be good")]),
        ([USER, CAS], (5, 2, 1), []),
        ([USER, None], (5, 2, 1), []),
        ([None], (5, 2, 1), []),
    ],
)
def test_crls_must_cover_the_kinds_that_an_issuer_has_rows_of(
    tmp_path: Path,
    scopes: list[dict[str, object] | None],
    rows: tuple[int, int, int],
    told: list[tuple[str, int, str]],
) -> None:
    paths = [write(tmp_path, f"{at}.crl", forged(ISSUER, scope=scope)) for at, scope in enumerate(scopes)]
    crls = [crl for path in paths for crl in read_crls(path)]
    effective, _ = effective_crls(crls, [crl_issuer(ISSUER, 1)], clock.seconds(NOW))

    findings = out_of_scope(uncovered(effective), np.array([(9, 9, 9), rows]))

    assert [(one.code, one.severity, one.count) for one in findings] == [("crl.scope", *one[:2]) for one in told]
    assert all(said in one.message for one, (_, _, said) in zip(findings, told, strict=True))
    assert all(one.examples == (str(paths[0]),) for one in findings)
