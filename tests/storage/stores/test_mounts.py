from pathlib import Path

import pytest

from storage.stores import LocalStore
from storage.stores import mounts as module
from storage.stores.mounts import is_on_local_disk, mounts_in

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/pki rw,relatime shared:5 - nfs4 server:/pki rw,vers=4.2
31 30 8:2 / /srv/pki/local rw - xfs /dev/sdb rw
32 22 0:41 / /mnt/two\040words rw - cifs //server/share rw
33 22 0:42 / /mnt/sch\303\274tz rw master:7 propagate_from:2 - fuse.s3fs s3fs rw
34 22 8:3 / /covered rw - nfs4 server:/old rw
35 34 0:43 / /covered rw - tmpfs none rw
""".strip()


@pytest.mark.parametrize(
    ("folder", "is_local"),
    [
        ("/var/store", True),
        ("/srv/pki", False),
        ("/srv/pki/not/there/yet", False),
        ("/srv/pki/local/store", True),
        ("/srv/pkix", True),
        ("/mnt/two words/store", False),
        ("/mnt/schütz/store", False),
        ("/covered/store", True),
    ],
)
def test_a_folder_on_a_network_mount_is_not_local(
    folder: str, is_local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS, encoding="utf-8")
    monkeypatch.setattr(module, "_MOUNTS", tmp_path / "mountinfo")

    assert is_on_local_disk(Path(folder)) is is_local


def test_a_link_to_a_network_mount_is_not_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS, encoding="utf-8")
    monkeypatch.setattr(module, "_MOUNTS", tmp_path / "mountinfo")
    (tmp_path / "link").symlink_to("/srv/pki/store")

    assert not is_on_local_disk(tmp_path / "link")


def test_the_mounts_of_this_machine_are_read() -> None:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")

    assert mounts_in(text)["/proc"] == "proc"


def test_without_knowledge_a_folder_is_taken_for_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOUNTS", tmp_path / "nothing")

    assert not LocalStore(tmp_path).is_local
