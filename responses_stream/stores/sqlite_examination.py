"""How the file of a `SqliteStore` is: whether it may be written, on which disk it lies, and how much room there is."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from responses_stream.stores.examination import Findings
from responses_stream.stores.sqlite_schema import VERSION

_MOUNTS: Final = Path("/proc/mounts")
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs", "lustre"}
)
_LEAST_ROOM: Final = 1024**3


def examine(path: Path, findings: Findings) -> None:
    """Look at the file, and at where it lies."""
    folder = path.resolve().parent
    if not folder.is_dir():
        findings.fail("reachable", f"there is no folder {folder}", "make it", final=True)
        return
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        said = f"this user may not write {path}, or not in its folder"
        findings.fail("reachable", said, "two more files are made beside it; let the user write there", final=True)
        return
    findings.ok("reachable", f"{path} can be written, SQLite {sqlite3.sqlite_version}")
    with findings.trying("migration", "is it a file of SQLite?", final=True):
        _version(path, findings)
    kind = _filesystem(folder)
    if kind in _REMOTE:
        findings.fail("disk", f"it is on a network drive ({kind})", "use a disk of this machine, or another store")
        return
    room = shutil.disk_usage(folder).free
    said = f"{room / 1024**3:.1f} GiB free"
    if room < _LEAST_ROOM:
        findings.warn("disk", said, "once it is full, responses end as failed: make room")
    else:
        findings.ok("disk", said)


def _version(path: Path, findings: Findings) -> None:
    if not path.exists():
        # Nothing can be tried without it, and it is not for a doctor to make it.
        said = "the file is not there yet; the first server makes it"
        findings.warn("migration", said, "nothing, unless the path is wrong", final=True)
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        [version] = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        findings.fail(
            "migration",
            f"it has version {version}, this package knows up to {VERSION}",
            "update responses-stream",
            final=True,
        )
    elif version < VERSION:
        said = f"it has version {version}; the first server of this package makes it {VERSION}"
        findings.warn("migration", said, "let no older server use it any more", final=True)
    else:
        findings.ok("migration", f"version {version}")


def _filesystem(folder: Path) -> str:
    """Return the kind of the file system of a folder; empty where the system does not tell."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    mounts = {place.replace("\\040", " "): kind for _, place, kind, *_ in map(str.split, lines)}
    return next((mounts[str(place)] for place in (folder, *folder.parents) if str(place) in mounts), "")
