"""Watch: what the items of a session add up to, for people: rates, depths, losses, latencies."""

import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .recording import lane_of
from .session import (
    US_MASK,
    Channel,
    Events,
    Hello,
    Item,
    Row,
    Session,
    Snapshot,
    Status,
    Text,
)

Latency: TypeAlias = tuple[float, float, float]  # p50, p99, max in µs

HISTORY = 40  # rates that are kept for a sparkline
_LATENCIES = 2000


@dataclass
class Lane:
    """A line of the table: a class, a receiver, or a whole channel ("-"). Rates are per second."""

    channel: Channel
    row: Row
    us: int
    sent_rate: float = 0.0
    received_rate: float = 0.0
    dropped_rate: float = 0.0
    rejected_rate: float = 0.0
    history: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))  # µs
    stats: Latency | None = None  # of the channel, in its first line

    def update(self, row: Row, us: int) -> None:
        """Take the next snapshot's figures."""
        seconds = ((us - self.us) & US_MASK) / 1e6
        if seconds > 0:
            self.sent_rate = _grown(row.sent, self.row.sent) / seconds
            self.received_rate = _grown(row.received, self.row.received) / seconds
            self.dropped_rate = _grown(row.dropped or 0, self.row.dropped or 0) / seconds
            self.rejected_rate = _grown(row.rejected or 0, self.row.rejected or 0) / seconds
            self.history.append(self.sent_rate)
        self.row, self.us = row, us

    @property
    def latency(self) -> Latency | None:
        """Of the newest tapped messages, else of the channel's stats."""
        if self.latencies:
            ordered = sorted(self.latencies)
            last = len(ordered) - 1
            return ordered[last // 2], ordered[-(-last * 99 // 100)], ordered[-1]
        return self.stats

    def as_json(self) -> dict[str, Any]:
        """Return the line's figures by name."""
        row = self.row
        return {
            "lane": row.label,
            "capacity": row.capacity,
            "queued": row.queued,
            "high_water": row.high_water,
            "sent": row.sent,
            "received": row.received,
            "dropped": row.dropped,
            "rejected": row.rejected,
            "sent_per_s": round(self.sent_rate, 3),
            "received_per_s": round(self.received_rate, 3),
            "dropped_per_s": round(self.dropped_rate, 3),
            "rejected_per_s": round(self.rejected_rate, 3),
            # What the channel measures is of all its classes.
            "latency_us": _named(self.latency if self.latencies or row.label == "-" else None),
            "last": None if row.last is None else row.last.hex(),
        }


class Watch:
    """What is known of a board, from the items that update() takes."""

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.status: Status | None = None
        self.channels: dict[str, Channel] = {}
        self.lanes: dict[tuple[str, int], Lane] = {}  # by the place: receivers may share a name
        self.text: deque[str] = deque(maxlen=5)
        self.snapshots = 0  # of every channel: how often there was one, at least
        self._line = ""
        self._seen: dict[str, int] = {}

    def update(self, items: list[Item]) -> None:
        """Take what a session has brought."""
        for each in items:
            match each:
                case Hello():
                    if each.again:
                        self.channels.clear()
                        self.lanes.clear()
                        self._seen.clear()
                    self.hello = each
                case Status():
                    if self.channels and self._seen.keys() >= self.channels.keys():
                        self.snapshots = min(self._seen[name] for name in self.channels)
                    self.status = each
                case Channel():
                    self.channels[each.name] = each
                case Snapshot():
                    self._snapshot(each)
                case Events():
                    self._events(each)
                case Text():
                    self._print(each.data.decode("utf-8", "replace"))

    def _snapshot(self, shot: Snapshot) -> None:
        name = shot.channel.name
        self._seen[name] = self._seen.get(name, 0) + (not shot.first)
        if not shot.first and (name, 0) in self.lanes:
            # What the snapshot before had not, is there no more: a receiver that has closed.
            begun = self.lanes[name, 0].us
            for key, lane in list(self.lanes.items()):
                if key[0] == name and lane.us < begun:
                    del self.lanes[key]
        for place, row in enumerate(shot.rows, shot.first):
            known = self.lanes.get((name, place))
            # Else it is another channel of that name, or another receiver in that place.
            if known and known.row.label == row.label and known.row.sent <= row.sent:
                known.update(row, shot.us)
            else:
                self.lanes[name, place] = Lane(shot.channel, row, shot.us)
        if shot.latency is not None:
            _, _, p50, p99, most = (each * 1e6 / shot.channel.hz for each in shot.latency)
            self.lanes[name, 0].stats = p50, p99, most

    def _events(self, batch: Events) -> None:
        lanes = [lane for (name, _), lane in self.lanes.items() if name == batch.channel.name]
        for each in batch.events:
            if each.outcome == "received":
                label = lane_of(batch.channel, each)
                for lane in lanes:
                    if lane.row.label in (label, "-"):
                        lane.latencies.append(each.figure * 1e6 / batch.channel.hz)

    def _stats(self, name: str) -> Latency | None:
        return self.lanes[name, 0].stats if (name, 0) in self.lanes else None

    def _print(self, text: str) -> None:
        *lines, self._line = (self._line + text).replace("\r", "").split("\n")
        self.text.extend(line for line in lines if line)

    def as_json(self, session: Session) -> dict[str, Any]:
        """Return all of it by name, for scripts."""
        hello, status = self.hello, self.status
        return {
            "board": hello
            and {
                "boot": hello.boot,
                "ringlane": hello.ringlane,
                "micropython": hello.micropython,
                "machine": hello.machine,
            },
            "us": status and status.us,
            "heap_free": status and status.heap_free,
            "channels_not_shown": status and status.untold,
            "link": vars(session.counts) | {"snapshots_skipped": status and status.skipped},
            "channels": [
                {
                    "name": channel.name,
                    "pattern": channel.pattern,
                    "slot_size": channel.slot_size,
                    "senders": channel.senders,
                    "latency_us": _named(self._stats(key)),
                    "lanes": [
                        lane.as_json()
                        for (name, _), lane in sorted(self.lanes.items())
                        if name == key
                    ],
                }
                for key, channel in sorted(self.channels.items())
            ],
        }


def look(session: Session, watch: Watch, seconds: float, patience: float) -> None:
    """Follow for `seconds`, and until there are two snapshots of every channel, so rates too."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds or watch.snapshots < 2:
        watch.update(session.poll(0.1))
        if time.monotonic() - begin > max(patience, seconds):
            break


def shown(data: bytes | None, size: int | None) -> str:
    """Return a message's beginning as people read it: a word, text, or bytes in hexadecimal."""
    if data is None or size is None:
        return ""
    if size == 4:
        return str(struct.unpack("<i", data)[0])
    more = "…" if size > len(data) else ""
    if data and all(32 <= byte < 127 for byte in data):
        return repr(data.decode())[1:-1] + more
    return data.hex(" ") + more


def _named(latency: Latency | None) -> dict[str, float] | None:
    return latency and dict(zip(("p50", "p99", "max"), latency, strict=True))


def _grown(now: int, before: int) -> int:
    return (now - before) & US_MASK  # counts are modulo 2**30, too
