"""Whether a folder lies on a disk of this machine, or where a network may keep its readers waiting for ever."""

from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_LOCAL = frozenset(
    "bcachefs btrfs erofs ext2 ext3 ext4 f2fs jfs overlay ramfs reiserfs squashfs tmpfs xfs zfs".split()  # noqa: SIM905 - a list of one line
)

_IN_MEMORY = frozenset({"ramfs", "tmpfs"})


def is_on_local_disk(folder: Path) -> bool:
    """Tell whether the file system of a folder, there or not yet, is one that never waits for another machine.

    What is not known to be one is taken for a network: that costs some speed and no more.
    """
    try:
        mounts = mounts_in(_MOUNTS.read_text(errors="surrogateescape"))
    except OSError:  # no Linux, or no /proc
        return False
    # As it is written first: to follow links on a server that is dead would take for ever.
    return _kind_of(mounts, folder.absolute()) in _LOCAL and _kind_of(mounts, folder.resolve()) in _LOCAL


def is_in_memory(folder: Path) -> bool:
    """Tell whether the file system of a folder has no disk at all, so that its readers never wait for one."""
    try:
        mounts = mounts_in(_MOUNTS.read_text(errors="surrogateescape"))
    except OSError:
        return False
    return _kind_of(mounts, folder.resolve()) in _IN_MEMORY


def mounts_in(text: str) -> dict[str, str]:
    r"""Return the type of the file system at each mount point (proc(5), /proc/pid/mountinfo); the last one is seen.

    >>> mounts_in("36 35 98:0 / /srv/my\\040store rw,noatime master:1 - nfs4 server:/store rw")
    {'/srv/my store': 'nfs4'}
    """
    mounts = {}
    for line in text.splitlines():
        fields, _, filesystem = line.partition(" - ")
        point = fields.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
        mounts[point.encode("latin-1").decode("utf-8", "surrogateescape")] = filesystem.split(" ")[0]
    return mounts


def _kind_of(mounts: dict[str, str], path: Path) -> str | None:
    """Return the type of file system that an absolute path lies on."""
    return next((mounts[str(folder)] for folder in (path, *path.parents) if str(folder) in mounts), None)
