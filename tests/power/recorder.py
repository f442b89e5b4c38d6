"""Everything SQLite does to its files, written down: the real library, and nothing of it replaced.

A VFS of SQLite is a table of C functions. This one is a copy of the table that the
library uses anyway, with xOpen and xDelete wrapped; a file that it opens has its table
copied too, with xWrite, xTruncate and xSync wrapped. Each wrapper calls the original and
notes what it did. Locks, shared memory and reads go straight to the original functions.

Pure Python: ctypes reaches the same library that the module sqlite3 was linked with. Where
its symbols are hidden, `why_not` says so.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OK = 0
OPEN_CREATE = 0x4
_HERE = b"truecount-recorder"


class _Methods(c.Structure):
    """sqlite3_io_methods, as far as it is wrapped; what follows is copied untouched."""

    _fields_ = [
        ("version", c.c_int),
        ("close", c.c_void_p),
        ("read", c.c_void_p),
        ("write", c.c_void_p),
        ("truncate", c.c_void_p),
        ("sync", c.c_void_p),
        *[(f"other_{n}", c.c_void_p) for n in range(13)],
    ]


class _File(c.Structure):
    _fields_ = [("methods", c.POINTER(_Methods))]


class _Vfs(c.Structure):
    """sqlite3_vfs. Versions 1 to 3 only add functions at the end."""

    _fields_ = [
        ("version", c.c_int),
        ("file_bytes", c.c_int),
        ("path_max", c.c_int),
        ("next", c.c_void_p),
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("open", c.c_void_p),
        ("delete", c.c_void_p),
        *[(f"other_{n}", c.c_void_p) for n in range(14)],
    ]


_OPEN = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_void_p, c.c_int, c.c_void_p)
_DELETE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_int)
_WRITE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.c_int64)
_TRUNCATE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int64)
_SYNC = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int)


@dataclass(frozen=True, slots=True)
class Op:
    """One thing done to a file, or `ack`: somebody was told that `about` is kept."""

    what: str  # create | write | truncate | sync | delete | ack
    file: str = ""
    at: int = 0
    data: bytes = b""
    about: str = ""


@dataclass
class Recorder:
    """What was done below `folder`, in its order. One at a time in a process."""

    folder: Path
    ops: list[Op] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _tables: dict[int, _Methods] = field(default_factory=dict)
    _kept: list[object] = field(default_factory=list)  # C calls them: they must not be collected

    def told(self, about: str) -> None:
        self.ops.append(Op("ack", about=about))

    # ------------------------------------------------------------ wrapping

    def wrap(self, real: _Vfs) -> _Vfs:
        own = _Vfs()
        c.memmove(c.byref(own), c.byref(real), c.sizeof(_Vfs))
        own.name = _HERE
        open_, delete = _OPEN(real.open), _DELETE(real.delete)
        address = c.addressof(real)

        def opened(_: int, path: int | None, file: int, flags: int, out: int | None) -> int:
            name = self._name(path)
            new = bool(name) and bool(flags & OPEN_CREATE) and not (self.folder / name).exists()
            code = open_(address, path, file, flags, out)
            if code == OK and name:
                if new:
                    self.ops.append(Op("create", name))
                self._names[file] = name
                self._wrap_file(_File.from_address(file))
            return code

        def deleted(_: int, path: bytes, sync_folder: int) -> int:
            code = delete(address, path, sync_folder)
            name = Path(path.decode()).name
            if code == OK and self._is_ours(path.decode()):
                self.ops.append(Op("delete", name))
                if sync_folder:
                    self.ops.append(Op("sync", name))
            return code

        callbacks = _OPEN(opened), _DELETE(deleted)
        self._kept += [real, own, open_, delete, *callbacks]
        own.open, own.delete = (c.cast(one, c.c_void_p).value for one in callbacks)
        return own

    def _is_ours(self, path: str) -> bool:
        return Path(path).resolve().parent == self.folder.resolve()

    def _name(self, path: int | None) -> str:
        """The file's name, "" for a temporary one and for files elsewhere."""
        text = c.string_at(path).decode() if path else ""
        return Path(text).name if text and self._is_ours(text) else ""

    def _wrap_file(self, file: _File) -> None:
        address = c.addressof(file.methods.contents)
        if address not in self._tables:
            self._tables[address] = self._table(_Methods.from_address(address))
        file.methods = c.pointer(self._tables[address])

    def _table(self, real: _Methods) -> _Methods:
        own = _Methods()
        c.memmove(c.byref(own), c.byref(real), c.sizeof(_Methods))
        write, truncate, sync = _WRITE(real.write), _TRUNCATE(real.truncate), _SYNC(real.sync)

        def wrote(file: int, data: int, size: int, at: int) -> int:
            code = write(file, data, size, at)
            if code == OK:
                self.ops.append(Op("write", self._names[file], at, c.string_at(data, size)))
            return code

        def truncated(file: int, size: int) -> int:
            code = truncate(file, size)
            if code == OK:
                self.ops.append(Op("truncate", self._names[file], size))
            return code

        def synced(file: int, flags: int) -> int:
            code = sync(file, flags)
            if code == OK:
                self.ops.append(Op("sync", self._names[file]))
            return code

        callbacks = _WRITE(wrote), _TRUNCATE(truncated), _SYNC(synced)
        self._kept += [write, truncate, sync, *callbacks]
        own.write, own.truncate, own.sync = (c.cast(one, c.c_void_p).value for one in callbacks)
        return own


# ------------------------------------------------------------------ the library


def _library() -> c.CDLL:
    """The library that `sqlite3` uses: a symbol is looked for in it and in what it is linked to."""
    import _sqlite3

    lib = c.CDLL(getattr(_sqlite3, "__file__", None))
    lib.sqlite3_vfs_find.restype = c.POINTER(_Vfs)
    lib.sqlite3_vfs_find.argtypes = [c.c_char_p]
    lib.sqlite3_vfs_register.argtypes = [c.c_void_p, c.c_int]
    lib.sqlite3_vfs_unregister.argtypes = [c.c_void_p]
    return lib


def why_not() -> str:
    """Why nothing can be recorded here; "" where it can."""
    if sys.platform == "win32":
        return "the files of Windows are not modeled"
    try:
        _library()
    except (OSError, AttributeError) as error:
        return f"the SQLite inside this Python shows no symbols: {error}"
    return ""


@contextlib.contextmanager
def recording(folder: Path) -> Iterator[Recorder]:
    """Every database opened meanwhile in this process is recorded, if it is in `folder`."""
    lib = _library()
    real = lib.sqlite3_vfs_find(None).contents
    recorder = Recorder(folder)
    own = recorder.wrap(real)
    assert lib.sqlite3_vfs_register(c.byref(own), 1) == OK
    try:
        yield recorder
    finally:
        lib.sqlite3_vfs_unregister(c.byref(own))
        lib.sqlite3_vfs_register(c.byref(real), 1)
