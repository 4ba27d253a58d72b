from dataclasses import asdict, replace

from bench.sizes import FULL_SIZES, LOG_BYTES, QUICK_SIZES
from bench.workload import disk_bytes


def test_only_the_full_sizes_are_judged_and_they_are_those_of_the_targets() -> None:
    assert FULL_SIZES.judged
    assert not QUICK_SIZES.judged
    sizes = asdict(FULL_SIZES)
    assert {name: rows for name, rows in sizes.items() if name.endswith("_rows")} == {
        "multibuffer_rows": 5_000_000,
        "awslc_rows": 2_000_000,
        "p384_rows": 2_000_000,
        "rsa_rows": 300_000,
        "software_rows": 1_000_000,
        "memory_rows": 200_000,
        "layout_rows": 2_000_000,
        "worker_rows": 5_000_000,
        "large_rows": 20_000_000,
        "medium_rows": 2_000_000,
        "issuer_rows": 2_000,
        "lookup_rows": 1_000_000,
        "carry_rows": 60_000,
        "carry_rsa_rows": 25_000,
        "night_rows": 1_000_000,
        "night_rsa_rows": 200_000,
        "urgent_rows": 2_000_000,
        "urgent_mass_rows": 1_000_000,
        "life_rows": 5_000_000,
        "edge_rows": 1_000_000,
        "edge_start_rows": 5_000_000,
    }
    assert FULL_SIZES.issuers == 1_144


def test_in_a_hurry_nothing_is_larger() -> None:
    full = asdict(FULL_SIZES)
    assert all(value <= full[name] for name, value in asdict(QUICK_SIZES).items())


def test_the_largest_workload_says_how_much_disk_is_needed() -> None:
    assert FULL_SIZES.disk_bytes == 2 * LOG_BYTES * 10_000_000, "a log, and what is spilled on the way into an import"
    assert 3_000_000_000 < replace(FULL_SIZES, log_lines=0).disk_bytes == disk_bytes(20_000_000) < 4_000_000_000
