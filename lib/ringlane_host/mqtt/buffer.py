"""Buffer: messages that wait for the broker, on disk, up to a size. The oldest make room.

SQLite's file: what is in it is whole after a crash of this process, and nothing else has to be
installed. Its write-ahead log is flushed to the disk now and then, not at each message.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..link import LinkError

_OWN = 0x726C6D71  # marks the file as this program's
_EACH = 100  # bytes that a message takes beside its own
_CHUNK = 200


@dataclass(frozen=True)
class Message:
    """A message for the broker, from the channel of that name."""

    channel: str
    qos: int
    topic: str
    payload: bytes
    about: str  # JSON: what MQTT 5 gets as user properties

    @property
    def bytes(self) -> int:
        """What it takes in a buffer."""
        return _EACH + len(self.payload) + len(self.topic.encode()) + len(self.about.encode())


class Buffer:
    """Buffer(path, limit): at most `limit` bytes of messages. A context manager.

    path: None: on disk, but gone at the end. A file is kept, and what is in it at the beginning
    comes first: `left`, by channel. Raise LinkError for a file that is something else, is in use,
    or cannot be written.
    """

    def __init__(self, path: Path | None = None, limit: int = 64 << 20) -> None:
        if limit < 10_000:
            raise LinkError(f"a buffer has at least 10,000 bytes, not {limit:,}")
        self.path = path
        self.limit = limit
        self.trouble = ""  # why add() could not write
        self._passed = 0  # the number of the message last passed
        try:
            self._open("" if path is None else str(path))
        except sqlite3.Error as error:
            said = str(error)
            if "locked" in said:
                said = "another bridge has it open"
            elif "not a database" in said:
                said = "it is another program's file"
            raise LinkError(f"cannot use the buffer {path}: {said}") from None
        counts = self._data.execute("SELECT channel, count(*) FROM messages GROUP BY channel")
        self.left: dict[str, int] = dict(counts.fetchall())
        self.count = sum(self.left.values())
        self.bytes: int
        self._newest: int | None  # number
        self.bytes, self._newest = self._data.execute(
            "SELECT coalesce(sum(bytes), 0), coalesce(max(id), 0) FROM messages"
        ).fetchone()

    def _open(self, name: str) -> None:
        self._data = data = sqlite3.connect(name, timeout=1, isolation_level=None)
        data.execute("PRAGMA locking_mode = EXCLUSIVE")
        own = data.execute("PRAGMA application_id").fetchone()[0]
        there = data.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if there and own != _OWN:
            raise sqlite3.Error("it is another program's file")
        data.execute("PRAGMA auto_vacuum = FULL")
        data.execute("PRAGMA journal_mode = WAL")
        data.execute("PRAGMA synchronous = NORMAL")
        data.execute(f"PRAGMA application_id = {_OWN}")
        data.execute(
            "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, "
            "bytes INTEGER, channel TEXT, qos INTEGER, topic TEXT, payload BLOB, about TEXT)"
        )
        data.execute("CREATE INDEX IF NOT EXISTS by_qos ON messages (qos)")

    def __enter__(self) -> "Buffer":
        return self

    def __exit__(self, *exc: object) -> None:
        self._data.close()

    def add(self, messages: Iterable[Message]) -> Counter[str]:
        """Append messages; return how many, by channel, had to make room: dropped.

        The oldest of QoS 0, and of QoS 1 only where there are no others. None that passed() was
        called for is dropped. On a full disk it is the new ones that are dropped: all of them.
        """
        messages = list(messages)
        before = self.bytes, self.count
        try:
            self._data.execute("BEGIN")
            for each in messages:
                row = each.bytes, each.channel, each.qos, each.topic, each.payload, each.about
                self._newest = self._data.execute(
                    "INSERT INTO messages (bytes, channel, qos, topic, payload, about) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
                self.bytes += each.bytes
                self.count += 1
            dropped = self._make_room()
            self._data.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._data.in_transaction:
                self._data.execute("ROLLBACK")
            self.bytes, self.count = before
            self.trouble = str(error)
            return Counter(each.channel for each in messages)
        return dropped

    def _make_room(self) -> Counter[str]:
        dropped: Counter[str] = Counter()
        while self.bytes > self.limit:
            rows = self._data.execute(
                "SELECT id, bytes, channel FROM messages WHERE id > ? ORDER BY qos, id LIMIT ?",
                (self._passed, _CHUNK),
            ).fetchall()
            if not rows:
                break
            for number, size, channel in rows:
                self._delete(number, size)
                dropped[channel] += 1
                if self.bytes <= self.limit:
                    break
        return dropped

    def following(self) -> list[tuple[int, Message]]:
        """Return the oldest messages behind the one last passed: their numbers, and they."""
        if self._passed >= (self._newest or 0):
            return []
        rows = self._data.execute(
            "SELECT id, channel, qos, topic, payload, about FROM messages WHERE id > ? "
            "ORDER BY id LIMIT ?",
            (self._passed, _CHUNK),
        )
        return [(row[0], Message(*row[1:])) for row in rows]

    def passed(self, number: int) -> None:
        """The message of that number is on its way: it is not given again, nor dropped."""
        self._passed = number

    def done(self, messages: Iterable[tuple[int, Message]]) -> None:
        """Remove messages: the broker has them."""
        messages = list(messages)
        if not messages:
            return
        self._data.execute("BEGIN")
        for number, each in messages:
            self._delete(number, each.bytes)
        self._data.execute("COMMIT")

    def _delete(self, number: int, size: int) -> None:
        self._data.execute("DELETE FROM messages WHERE id = ?", (number,))
        self.bytes -= size
        self.count -= 1


__all__ = ["Buffer", "Message"]
