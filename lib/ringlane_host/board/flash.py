"""The board's files: those beside main.py to read, and what the firmware writes, in memory."""

import io
from pathlib import Path

from .faults import NotSimulated

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_ENOENT, _EEXIST, _ENOTEMPTY = 2, 17, 39


class _Written(io.BytesIO):
    def __init__(self, files, name, before, at):
        super().__init__()
        self._files = files
        self._name = name
        super().write(before)
        self.seek(at)

    def flush(self):
        self._files[self._name] = self.getvalue()

    def close(self):
        if not self.closed:
            self.flush()
        super().close()


class _WrittenText(_Written):
    def write(self, text):
        return super().write(text if isinstance(text, bytes) else text.encode())

    def read(self, size=-1):
        return super().read(size).decode()

    def readline(self, size=-1):
        return super().readline(size).decode()


class Flash:
    """A board's file system: `files` holds what was written, by its path without the first "/"."""

    def __init__(self):
        self.folder = None
        self.files = {}
        self._removed = set()
        self._folders = set()

    def _name(self, path):
        return str(path).lstrip("/").removeprefix("./")

    def _found(self, path):
        # The content, or None.
        name = self._name(path)
        if name in self.files:
            return self.files[name]
        if self.folder is None or name in self._removed or ".." in Path(name).parts:
            return None
        file = self.folder / name
        return file.read_bytes() if file.is_file() else None

    def _is_folder(self, name):
        name = name.rstrip("/")
        return (
            not name
            or name in self._folders
            or bool(self.folder is not None and (self.folder / name).is_dir())
        )

    def open(self, path, mode="r", **keywords):
        """As open() on a board."""
        name = self._name(path)
        binary = "b" in mode
        if "w" in mode or "a" in mode or "+" in mode:
            before = self._found(path)
            if not self._is_folder(name.rpartition("/")[0]) or before is None and "r" in mode:
                raise OSError(_ENOENT, "ENOENT")
            if before is None or "w" in mode:
                before = b""
            self._removed.discard(name)
            at = len(before) if "a" in mode else 0
            file = (_Written if binary else _WrittenText)(self.files, name, before, at)
            file.flush()
            return file
        content = self._found(path)
        if content is None:
            raise OSError(_ENOENT, "ENOENT")
        return io.BytesIO(content) if binary else io.StringIO(content.decode())

    def listdir(self, path="/"):
        """The names in a folder."""
        name = self._name(path).rstrip("/")
        names = set()
        if self.folder is not None and (self.folder / name).is_dir():
            for each in (self.folder / name).iterdir():
                if f"{name}/{each.name}".lstrip("/") not in self._removed:
                    names.add(each.name)
        start = name + "/" if name else ""
        for each in [*self.files, *self._folders]:
            if each.startswith(start):
                names.add(each[len(start) :].partition("/")[0])
        return sorted(names)

    def ilistdir(self, path="/"):
        """(name, type, inode, size) of what is in a folder."""
        for name in self.listdir(path):
            content = self._found(f"{path}/{name}")
            yield name, 0x4000 if content is None else 0x8000, 0, len(content or b"")

    def stat(self, path):
        """As os.stat on a board."""
        content = self._found(path)
        if content is None and not self._is_folder(self._name(path)):
            raise OSError(_ENOENT, "ENOENT")
        mode = 0x4000 if content is None else 0x8000
        return (mode, 0, 0, 0, 0, 0, len(content or b""), 0, 0, 0)

    def remove(self, path):
        """Remove a file."""
        if self._found(path) is None:
            raise OSError(_ENOENT, "ENOENT")
        self.files.pop(self._name(path), None)
        self._removed.add(self._name(path))

    def rename(self, old, new):
        """Rename a file."""
        content = self._found(old)
        if content is None:
            raise OSError(_ENOENT, "ENOENT")
        self.remove(old)
        self._removed.discard(self._name(new))
        self.files[self._name(new)] = content

    def mkdir(self, path):
        """Make a folder."""
        name = self._name(path)
        if self._is_folder(name):
            raise OSError(_EEXIST, "EEXIST")
        if not self._is_folder(name.rpartition("/")[0]):
            raise OSError(_ENOENT, "ENOENT")
        self._folders.add(name)

    def rmdir(self, path):
        """Remove a folder that the firmware has made."""
        name = self._name(path)
        if not self._is_folder(name):
            raise OSError(_ENOENT, "ENOENT")
        if self.listdir(path):
            raise OSError(_ENOTEMPTY, "ENOTEMPTY")
        self._folders.discard(name)

    def chdir(self, path):
        """The board stays in "/"."""
        if not self._is_folder(self._name(path)):
            raise OSError(_ENOENT, "ENOENT")
        if self._name(path):
            raise NotSimulated(f"os.chdir({path!r}) is not simulated: the board stays in '/'")

    def getcwd(self):
        """Return "/"."""
        return "/"


__all__ = ["Flash"]
