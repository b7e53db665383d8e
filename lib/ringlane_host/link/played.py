"""A recording's channels, as those of a board: what `ringlane record` has, message by message."""

import asyncio
from pathlib import Path

from .recording import Recording
from .remote import About, Message, NotOpened, RemoteBoard, RemoteChannel


class RecordedBoard(RemoteBoard):
    """The board of which `path` is a recording: see remote(). Nothing can be sent to it.

    Messages are there at once, as fast as they are received; `us` tells when each was sent, from
    the recording's first event on.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.name = str(path)
        self._path = path
        self._recording: Recording | None = None

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._recording = await loop.run_in_executor(None, Recording, self._path)

    async def _close(self) -> None:
        pass

    @property
    def channels(self) -> dict[str, About]:
        """See RemoteBoard."""
        if self._recording is None:
            return {}
        return {
            name: About(name, each["pattern"], each["slot_size"], each["tapped"])
            for name, each in self._recording.channels.items()
        }

    def _make(self, about: About) -> RemoteChannel:
        assert self._recording is not None
        return _RecordedChannel(about, self._recording)


class _RecordedChannel(RemoteChannel):
    def __init__(self, about: About, recording: Recording) -> None:
        super().__init__(about)
        self._recording = recording
        self._events = iter(each for each in recording.events if each.channel == about.name)
        self.counters.missed = recording.missing.get(about.name, 0)

    def _begin_to_receive(self) -> None:
        path = self._recording.path
        if not self.about.tapped:
            raise NotOpened(f"{path} has no messages of {self.name!r}: no tap")
        if self.about.calls:
            raise NotOpened(
                f"{self.name!r} is a RequestReplyChannel, whose requests and replies are not "
                f"received: Recording({str(path)!r}).of({self.name!r}) has them"
            )
        while not self._unread and not self._over:
            each = next(self._events, None)
            if each is None:
                self._finish()
            elif each.outcome == "queued":
                self._put(Message(each.head, each.size, each.priority, each.us, None, each.sender))
            else:
                self.counters.dropped += each.outcome == "dropped"
                self.counters.rejected += each.outcome == "rejected"

    def _taken(self, stream: int) -> None:
        pass

    def _nothing(self) -> NotOpened:
        return NotOpened(f"{self._recording.path} is a recording: nothing can be sent into it")

    async def _send(self, data: bytes, priority: int, timeout_ms: int | None) -> int:
        raise self._nothing()

    async def _call(self, data: bytes) -> tuple[int, bytes]:
        raise self._nothing()


__all__ = ["RecordedBoard"]
