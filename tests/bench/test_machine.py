import platform

from bench.machine import FLAGS, cpu_fields, this_machine


def test_the_first_cpu_is_described() -> None:
    text = (
        "processor\t: 0\nmodel name\t: Some CPU @ 2.0: GHz\nflags\t\t: fpu adx\n\nprocessor\t: 1\nmodel name\t: Other\n"
    )
    assert cpu_fields(text) == {"processor": "0", "model name": "Some CPU @ 2.0: GHz", "flags": "fpu adx"}


def test_a_machine_without_that_file_is_described_too() -> None:
    assert cpu_fields("") == {}


def test_this_machine_has_a_name_and_versions_of_all_that_signs() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cpus >= 1
    assert set(machine.flags) <= set(FLAGS)
    assert machine.versions["python"] == platform.python_version()
    assert str(machine.versions["openssl"]).startswith("OpenSSL ")
    assert machine.versions.keys() >= {"cryptography", "awscrt", "ipp-crypto", "pyarrow"}
    assert machine.versions["cryptography"]
