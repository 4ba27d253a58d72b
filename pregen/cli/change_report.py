"""The report of an urgent change, as one JSON object and as lines for people."""

from collections.abc import Mapping
from types import MappingProxyType

from pregen import clock
from pregen.cli.left_lines import left_behind_document, left_behind_lines
from pregen.cli.report import Report, aligned
from pregen.exit_codes import ExitCode
from pregen.gates.results import gates_document
from pregen.urgent import Changed
from pregen.urgent.deciding import Fate
from pregen.urgent.orders import ChangeKind

_DONE: Mapping[ChangeKind, str] = MappingProxyType(
    {
        ChangeKind.DELTA: "changed",
        ChangeKind.REVOKE: "revoked",
        ChangeKind.HOLD: "put on hold",
        ChangeKind.RELEASE: "released",
    }
)


def change_report(changed: Changed) -> Report:
    """Return the report of an urgent change."""
    windows = {name: clock.text(instant) for name, instant in changed.times.items()}
    document: dict[str, object] = {
        "kind": str(changed.kind),
        "dry_run": changed.is_dry,
        "published": changed.landed is not None,
        **({} if changed.judgement.rows_in is None else {"rows_in": changed.judgement.rows_in}),
        **({} if changed.judgement.excluded is None else {"excluded": dict(changed.judgement.excluded)}),
        "certificates": sum(map(changed.count, Fate)),
        "changed": changed.lands,
        "unchanged": changed.count(Fate.STANDS),
        "left_out": changed.left_out,
        "revoked": sum(one.revoked for one in changed.resolved),
        "new": sum(one.new for one in changed.resolved),
        "responses": changed.responses,
        "verified": changed.verified,
        "left_behind": left_behind_document(changed.left_behind),
        "overlays": changed.overlays,
        "stored_bytes": changed.stored_bytes,
        **windows,
        "gates": gates_document(changed.judgement.gates),
    }
    return Report(
        document=document,
        lines=[_first_line(changed), *aligned(_rows(changed, windows)), *left_behind_lines(changed.left_behind)],
        findings=changed.judgement.warnings,
        done=None if changed.landed is None else f"commit {changed.landed.head.commit.number} is published",
        exit_code=ExitCode.LEFT_BEHIND if changed.landed and changed.left_behind else ExitCode.DONE,
    )


def _first_line(changed: Changed) -> str:
    count, done = changed.lands, _DONE[changed.kind]
    what = f"{count:,} certificate{'s' * (count != 1)}"
    if not count and changed.left_out:
        return "nothing is changed: what is not so already is left out"
    if not count:
        return f"nothing is changed: all of it is so in commit {changed.ground.head.commit.number}"
    if changed.is_dry:
        return f"dry run: {what} would be {done}; nothing was published"
    number = changed.landed.head.commit.number if changed.landed else "?"
    return f"published commit {number}: {what} {done}; edges answer so within seconds"


def _rows(changed: Changed, windows: Mapping[str, str]) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        ("certificates", sum(map(changed.count, Fate))),
        ("unchanged", changed.count(Fate.STANDS)),
    ]
    if changed.left_out:
        rows.append(("left out", changed.left_out))
    if new := sum(one.new for one in changed.resolved):
        rows.append(("new", new))
    if changed.lands:
        rows += [
            ("responses", changed.responses),
            ("window", f"{windows['this_update']} .. {windows['next_update']}"),
            ("refresh by", windows["refresh_by"]),
            ("overlays", changed.overlays),
        ]
    return rows
