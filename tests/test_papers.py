"""README and docs: what they tell operators to type works, what they link to is there, and the README stays short."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

import storage.edge
from pregen.gates.acceptance import CODES, HISTORY_DAMAGED, MALFORMED
from storage.edge.record import Outcome
from tests.judges.programs import judge
from tests.pki import DAY, make_key, make_name
from tests.pregen.cli.ca import GOOD, REVOKED, Ca, Program
from tests.storage.edge.processes import start

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
OPERATIONS, FINDINGS, EDGE = (ROOT / "docs" / f"{name}.md" for name in ("operations", "findings", "edge"))
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "storage").glob("*.md")]
ROOMS = ("pregen/", "storage/", "bench/", "tests/")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"[a-z][a-z-]*(\.[a-z0-9][a-z0-9-]*[a-z0-9])+")
NO_CODES = {"issuer.pem", "snapshot.parquet"}
NO_FIELDS = {"unauthorized"}
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [text for name, text in _FENCE.findall(page.read_text()) if name == language]


def words_of(page: Path, beginning: str) -> list[str]:
    """Return the words of the one command of a page that begins so."""
    lines = "\n".join(blocks(page, "sh")).splitlines()
    (line,) = [line for line in lines if line.startswith(beginning)]
    return shlex.split(line, comments=True)


def anchors(page: Path) -> set[str]:
    """Return what links may name of a page, as GitHub makes it of headings."""
    text = _FENCE.sub("", page.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(text)}


@pytest.fixture
def ca(tmp_path: Path) -> Ca:
    """A CA with the README's configuration and all files that it names."""
    ca = Ca(tmp_path)
    shutil.copy(ca.pem, tmp_path / "root.pem")
    for ours, theirs in (("issuer.pem", "r1.pem"), ("ocsp.pem", "r1-ocsp.pem"), ("ocsp.key", "r1-ocsp.key")):
        (tmp_path / ours).rename(tmp_path / theirs)
    revoked = x509.RevokedCertificateBuilder(REVOKED, ca.now - timedelta(hours=1))
    crl = x509.CertificateRevocationListBuilder(
        ca.issuer.certificate.subject, ca.now - timedelta(minutes=1), ca.now + DAY
    )
    crl = crl.add_revoked_certificate(revoked.build())
    (tmp_path / "r1.crl").write_bytes(crl.sign(ca.issuer.key, hashes.SHA256()).public_bytes(Encoding.DER))
    issued = x509.CertificateBuilder(ca.issuer.certificate.subject, make_name("www"), make_key().public_key(), GOOD)
    issued = issued.not_valid_before(ca.now - DAY).not_valid_after(ca.now + DAY)
    certificate = issued.sign(ca.issuer.key, hashes.SHA256())
    (tmp_path / "some.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (text,) = blocks(README, "toml")
    ca.config.write_text(in_folder(text, ca))
    return ca


def in_folder(text: str, ca: Ca) -> str:
    """Return text of a page with the places of a CA instead of those that the page names."""
    ours = {
        "/etc/pregen/pregen.toml": ca.config,
        "/etc/pregen/secrets.env": ca.folder / "secrets.env",
        "/opt/pregen/bin/pregen": Path(sys.executable).with_name("pregen"),
        "/var/lib/ca/export/*.parquet": ca.snapshot,
        "/var/lib/ca/export/": f"{ca.folder}/export/",
        "/var/lib/pregen/runs.jsonl": ca.folder / "runs.jsonl",
        "s3://bucket/ocsp": ca.store,
        "STORE": ca.store,
    }
    for theirs, own in ours.items():
        text = text.replace(theirs, str(own))
    return text


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len(README.read_text().split()) <= 1_500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    there = {str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    names = {Path(path).name for path in there}
    for name in re.findall(r"`([\w/]+\.py)`", page.read_text()):
        assert name in there if name.startswith(ROOMS) else Path(name).name in names, name


def test_every_file_that_is_named_on_how_to_work_here_is_there() -> None:
    text = _FENCE.sub("", (ROOT / "CONTRIBUTING.md").read_text())
    named = re.findall(r"`(\.?\w[\w.-]*/[\w./-]*|[A-Za-z][\w-]*\.(?:lock|md|py|toml))`", text)

    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_lists_every_page() -> None:
    index = README.read_text().rpartition("## Documentation")[2]
    listed = {(ROOT / link).resolve() for link in _LINK.findall(index)}
    assert listed >= set((ROOT / "docs").glob("*.md"))


def test_the_readme_s_configuration_is_checked_published_served_and_asked(ca: Ca, pregen: Program) -> None:
    for command in ("check", "run"):
        _, *words = words_of(README, f"pregen {command} ")
        ended = pregen(*(in_folder(word, ca) for word in words))
        assert (ended.code, ended.err) == (0, "")

    ours = {"8080": "PORT", "4": "1", "0.0.0.0": "127.0.0.1"}
    serve = [in_folder(ours.get(word, word), ca) for word in words_of(README, "python -m storage.edge ")[1:]]
    with start(ca.folder, *serve) as edge:
        ask = [word.replace("8080", str(edge.port)) for word in words_of(README, "openssl ocsp ")]
        openssl = [judge("openssl"), *ask[1:]]
        answer = subprocess.run(openssl, cwd=ca.folder, capture_output=True, text=True, timeout=60, check=False)
        assert "Response verify OK" in answer.stderr
        assert "some.pem: good" in answer.stdout


def test_what_looks_into_a_store_works_as_it_is_written(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pregen("run", ca.config).code == 0
    monkeypatch.chdir(ca.folder)
    for beginning in ("pregen inspect STORE", "pregen verify STORE", "pregen lookup STORE"):
        _, *words = words_of(OPERATIONS, beginning)
        assert pregen(*(in_folder(word, ca) for word in words)).code == 0
    (status,) = re.findall(r"^    pregen (status .*)$", OPERATIONS.read_text(), re.MULTILINE)
    assert pregen(*in_folder(status, ca).split()).code == 0


@pytest.mark.parametrize("scheduler", ["cron", "systemd"])
def test_the_line_of_a_scheduler_publishes_the_export_of_the_day(ca: Ca, scheduler: str) -> None:
    if scheduler == "cron":
        (line,) = re.findall(r"^15 3 \* \* \*  pregen  (.*)$", OPERATIONS.read_text(), re.MULTILINE)
        command = ["sh", "-c", in_folder(line.replace(r"\%", "%"), ca)]
    else:
        (line,) = re.findall(r"^ExecStart=(.*)$", OPERATIONS.read_text(), re.MULTILINE)
        command = shlex.split(in_folder(line.replace("%%", "%"), ca))
    today = subprocess.run(["date", "-u", "+%F"], check=True, capture_output=True, text=True).stdout.strip()
    (ca.folder / "export" / today).mkdir(parents=True)
    ca.snapshot.rename(ca.folder / "export" / today / "certificates.parquet")
    (ca.folder / "secrets.env").write_text("OCSP_KEY_PASS=secret\n")

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ca.published()


def test_the_units_are_ones_that_systemd_reads(tmp_path: Path) -> None:
    program = judge("systemd-analyze")
    for text in blocks(OPERATIONS, "ini"):
        (name,) = re.findall(r"^# /etc/systemd/system/(\S+)$", text, re.MULTILINE)
        (tmp_path / name).write_text(text)
    for name in ("pregen.service", "pregen.timer"):
        subprocess.run([program, "verify", str(tmp_path / name)], check=True, timeout=60)


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the rows of the first table behind a heading."""
    table = page.read_text().partition(f"## {heading}\n")[2].partition("\n| ")[2].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_where_to_look_first_is_where_it_is() -> None:
    rows = rows_of(ROOT / "ARCHITECTURE.md", "Where to look first")
    assert len(rows) >= 20
    for what, files, symbols in rows:
        first, *more = re.findall(r"`([^`]+)`", files)
        for name in (first, *(str(Path(first).parent / one) for one in more)):
            text = (ROOT / name).read_text()
            assert all(symbol in text for symbol in re.findall(r"`([^`]+)`", symbols)), (what, name)


def test_the_fields_of_the_request_log_are_those_that_the_edge_documents() -> None:
    fields = {name for row in rows_of(EDGE, "What is logged") for name in re.findall(r"`(\w+)`", row[0])}
    documented = (storage.edge.__doc__ or "").partition("**Logging policy.**")[2].partition("**A store that")[0]
    assert fields == set(re.findall(r"``(\w+)``", re.sub(r"(?m)^(    .{23}).*", r"\1", documented))) - NO_FIELDS


def test_every_outcome_of_a_request_is_explained() -> None:
    explained = re.findall(
        r"^\| (`[a-z`, -]+`) \| ", EDGE.read_text().partition("| `outcome` | when |")[2], re.MULTILINE
    )
    assert set(Outcome) <= set(re.findall(r"`([a-z-]+)`", "".join(explained)))


def codes_of(text: str) -> set[str]:
    return set(re.findall(r"`([a-z][a-z-]*(?:\.[a-z0-9-]+)+)`", text))


def test_every_code_of_a_finding_is_explained_and_no_other() -> None:
    explained = {code for code in codes_of(FINDINGS.read_text()) if not code.endswith((".md", ".txt"))}
    families = {code.partition(".")[0] for code in explained}
    known = {
        node.value
        for path in (ROOT / "pregen").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value)
    }
    assert explained <= known, "docs/findings.md has codes that no finding has"
    assert {code for code in known if code.partition(".")[0] in families} - NO_CODES == explained


def test_the_codes_that_can_be_accepted_are_in_bold() -> None:
    bold = codes_of("".join(re.findall(r"\*\*(`[^`]*`)\*\*", FINDINGS.read_text())))
    accepted = {code for codes in CODES.values() for code in codes} | {HISTORY_DAMAGED, MALFORMED}
    assert bold == {code for code in accepted if not code.startswith("row.") and code != "revocation.mass"}
