"""A run that signs far more slowly than its engines were measured says so."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pregen.generation.pace import LEAST_S, pace_warning
from pregen.issuers import Issuer
from pregen.signers import Choice, KeyUse
from tests.pregen.generation.workshop import make_issuers


def measured(issuers: Sequence[Issuer], **rates: float) -> dict[KeyUse, Choice]:
    return {issuer.responder.use: Choice("software", rates) for issuer in issuers}


@pytest.fixture
def issuers(tmp_path: Path) -> tuple[Issuer, ...]:
    return make_issuers(tmp_path, {"cert_ids": "separate"}, {"cert_ids": "sha1"})


def test_time_far_beyond_what_the_rates_promise_is_a_warning_with_both(issuers: tuple[Issuer, ...]) -> None:
    rows = {0: 2_000, 1: 1_000}  # two signatures each, and one: 5 s
    (found,) = pace_warning(rows, issuers, measured(issuers, software=1_000.0, other=10.0), 15.0)
    assert (found.code, found.severity) == ("engine.slow", "warning")
    assert "took 15.0 s of CPU time, 3.0 times the 5.0 s" in found.message
    assert found.examples == ("p256-sha256: software made 1,000 signatures/s before the run",)
    assert pace_warning(rows, issuers, measured(issuers, software=1_000.0, other=10.0), 9.9) == ()


def test_a_short_run_proves_nothing(issuers: tuple[Issuer, ...]) -> None:
    rows = {1: 10}
    assert pace_warning(rows, issuers, measured(issuers, software=1_000.0, other=10.0), LEAST_S - 0.1) == ()
    assert len(pace_warning(rows, issuers, measured(issuers, software=1_000.0, other=10.0), LEAST_S + 0.1)) == 1


def test_an_engine_that_was_named_promises_nothing(issuers: tuple[Issuer, ...]) -> None:
    assert pace_warning({0: 10}, issuers, measured(issuers), 1_000.0) == ()
