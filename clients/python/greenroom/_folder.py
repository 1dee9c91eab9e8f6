"""A local folder that is read and written without ever following a link.

Every step from the folder down is opened relative to the step before with O_NOFOLLOW, so a folder that is swapped for
a symbolic link while a transfer runs is refused rather than followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from greenroom.errors import UnsafePath
from greenroom.safe_path import VCS_FOLDERS, PathProblem, check_path, shown

CHUNK = 1024 * 1024
"""Bytes read, written or sent at a time."""

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for its other end.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def unsafe(path: str, problem: str) -> UnsafePath:
    """Return the error for a file that must not be transferred."""
    return UnsafePath(f"{shown(path)} {problem}", metadata={"path": path, "problem": problem})


class Folder:
    """An open folder. Paths are relative to it and have passed `safe_path.check_path`.

    The folder itself may be reached through links: whoever names it owns the choice. Close it after use.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the folder; paths that are open stay open."""
        os.close(self._fd)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def parent_of(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that holds `path`; yields its descriptor and the last part of the path.

        Raises:
            UnsafePath: a part on the way is a link or a file.
            FileNotFoundError: a part is missing and `create` is not set.
        """
        *folders, name = path.split("/")
        fd = os.dup(self._fd)
        try:
            for folder in folders:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(folder, dir_fd=fd)
                try:
                    deeper = os.open(folder, _FOLDER_FLAGS, dir_fd=fd)
                except OSError as error:
                    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                        raise unsafe(path, f"lies behind {shown(folder)}, which is a link or not a folder") from error
                    raise
                os.close(fd)
                fd = deeper
            yield fd, name
        finally:
            os.close(fd)

    @contextmanager
    def reading(self, path: str) -> Iterator[int]:
        """Open a regular file for reading; yields its descriptor.

        Raises:
            UnsafePath: it is a link, a folder, a device, a socket or a FIFO, or lies behind a link.
            FileNotFoundError: it does not exist.
        """
        with self.parent_of(path) as (folder, name):
            try:
                fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise unsafe(path, "is a symbolic link; only regular files are transferred") from error
                if error.errno == errno.ENXIO:
                    raise unsafe(path, "is a socket or a device; only regular files are transferred") from error
                raise
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise unsafe(path, f"is {_kind(mode)}; only regular files are transferred")
            yield fd
        finally:
            os.close(fd)

    def digest(self, path: str) -> tuple[str, os.stat_result]:
        """Return `sha256:…` of a file and its status when it was opened. Blocks; raises as `reading`."""
        with self.reading(path) as fd:
            status = os.fstat(fd)
            with os.fdopen(fd, "rb", buffering=0, closefd=False) as file:
                return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest(), status

    def has(self, path: str, digest: str, size: int) -> bool:
        """Tell whether `path` is a regular file with exactly these bytes. Blocks.

        Raises:
            UnsafePath: something that is not a regular file stands there.
        """
        try:
            with self.reading(path) as fd:
                if os.fstat(fd).st_size != size:
                    return False
            return self.digest(path)[0] == digest
        except FileNotFoundError:
            return False


class Arrival:
    """A file on its way into a folder: nameless until it is whole and verified, then there at once.

    Bytes go to a temporary file in the destination's own folder. `commit` syncs and renames it; `discard` removes it.
    All methods block; `discard` may come from another thread and waits for a write that is under way.
    """

    def __init__(self, folder: Folder, path: str) -> None:
        self._path = path
        self._name = path.rsplit("/", 1)[-1]
        self._temporary = f".greenroom-{secrets.token_hex(8)}.part"
        with folder.parent_of(path, create=True) as (parent, _):
            self._parent = os.dup(parent)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._temporary, flags, 0o666, dir_fd=self._parent)
        except BaseException:
            os.close(self._parent)
            raise
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        self.size = 0
        """Bytes written so far."""

    def write(self, data: bytes) -> None:
        """Append bytes and count them into the digest."""
        with self._lock:
            self._hash.update(data)
            self.size += len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]

    @property
    def digest(self) -> str:
        """`sha256:…` of what was written so far."""
        return "sha256:" + self._hash.hexdigest()

    def commit(self) -> None:
        """Make the bytes durable and give them their name, replacing a file of that name.

        Raises:
            UnsafePath: a folder stands where the file should go.
        """
        with self._lock:
            os.fsync(self._fd)
            try:
                os.rename(self._temporary, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
            except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
                raise unsafe(self._path, "cannot be written: a folder stands there") from error
            os.fsync(self._parent)
            self._close()

    def discard(self) -> None:
        """Remove the temporary file; does nothing after `commit`."""
        with self._lock:
            if self._fd < 0:
                return
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._parent)
            self._close()

    def _close(self) -> None:
        os.close(self._fd)
        os.close(self._parent)
        self._fd = -1


def list_files(folder: Folder) -> list[str]:
    """Return the relative paths of all files below a folder, sorted. Blocks.

    Raises:
        UnsafePath: a link, device, FIFO, socket, version-control folder or unsafe name is among them.
    """
    found: list[str] = []
    _collect(folder, "", found)
    return sorted(found)


def _collect(folder: Folder, prefix: str, found: list[str]) -> None:
    with folder.parent_of(prefix + "x") as (fd, _), os.scandir(fd) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.name.casefold() in VCS_FOLDERS:
                raise unsafe(path, "belongs to a version-control system; push the folder of the model, not a work tree")
            try:
                check_path(path)
            except PathProblem as problem:
                raise unsafe(path, problem.problem) from problem
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                _collect(folder, path + "/", found)
            elif stat.S_ISREG(mode):
                found.append(path)
            else:
                raise unsafe(path, f"is {_kind(mode)}; only regular files are transferred")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "not a regular file")
