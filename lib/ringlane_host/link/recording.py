"""Recordings: what went through a board's channels, in an MCAP file that Foxglove opens.

A tapped channel `adc` has a topic for each outcome, `adc/queued`, `adc/received` and so on, with a
JSON message for each event; `adc/lanes` has its counters at each snapshot; `text` what the program
printed; `missing` how many events of an end are not there, and why; `reset` when the board began
anew. Their `us` is the board's at its first start, and goes on by the host's clock over a reset.
"""

import json
import struct
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ringlane.names import CLASS_NAMES

from . import LinkError, need
from .session import (
    ELSEWHERE,
    US_MASK,
    Channel,
    Event,
    Events,
    Gone,
    Hello,
    Item,
    Session,
    Snapshot,
    Status,
    Text,
)

_KIND = "ringlane"  # the file's profile, and the name of its metadata
_INT, _STR = {"type": "integer"}, {"type": "string"}
_EVENT = {
    "us": _INT,
    "lane": _STR,
    "sender": _INT,
    "size": _INT,
    "number": _INT,
    "value": _INT,
    "data": _STR,
    "receiver": _INT,
}
_ADVISED = "Channel", "PriorityChannel"
_FIGURES = {  # what an event's figure is
    "queued": "queued",
    "dropped": "queued",
    "rejected": "queued",
    "received": "latency_us",
    "taken": "count",
    "missed": "count",
}
_SCHEMAS = {
    **{name: _EVENT | {figure: _INT} for name, figure in _FIGURES.items()},
    "lanes": {"us": _INT, "lanes": {"type": "array", "items": {"type": "object"}}},
    "text": {"text": _STR},
    "reset": {"us": _INT},
    "missing": {"channel": _STR, "end": _STR, "overwritten": _INT, "lost": _INT},
}


class Recorder:
    """Writes what a session brings to the file `path`. A context manager: close() ends the file.

    Raise LinkError without the package mcap.
    """

    def __init__(self, path: Path, session: Session) -> None:
        need("mcap")
        from mcap.writer import CompressionType, Writer

        self.events = 0  # written
        self.session = session
        self._file = path.open("wb")
        self._writer = Writer(self._file, compression=CompressionType.NONE)
        self._writer.start(profile=_KIND)
        self._topics: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._wall = time.time() - time.monotonic()
        self._hello: Hello | None = None
        self._channels: dict[str, Channel] = {}
        self._us = 0  # of the latest
        self._zero: float | None = None  # host's seconds when the recording's `us` was 0
        self._shift: int | None = 0  # from the board's `us` to the recording's; None: not known

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def add(self, items: Iterable[Item]) -> None:
        """Write what has come."""
        for each in items:
            match each:
                case Hello():
                    if self._hello is not None and each.boot != self._hello.boot:
                        self._shift = None
                        self._write("reset", "reset", time.monotonic(), {"us": self._us})
                    self._hello = each
                case Channel():
                    self._channels[each.name] = each
                case Text():
                    text = each.data.decode("utf-8", "replace")
                    self._write("text", "text", time.monotonic(), {"text": text})
                case Snapshot():
                    self._snapshot(each)
                case Events():
                    self._batch(each)

    def close(self) -> None:
        """End the file."""
        if self._file.closed:
            return
        channels = {name: vars(channel) for name, channel in self._channels.items()}
        about = {"hello": self._hello and vars(self._hello), "channels": channels}
        self._writer.add_metadata(_KIND, {"about": json.dumps(about)})
        self._writer.finish()
        self._file.close()

    def _of_all(self, us: int, seconds: float) -> int:
        # The recording's microseconds for the board's of this start.
        if self._zero is None:
            self._zero = seconds - us / 1e6
        if self._shift is None:
            self._shift = max(round((seconds - self._zero) * 1e6), self._us + 1) - us
        self._us = max(self._us, us + self._shift)
        return us + self._shift

    def _snapshot(self, shot: Snapshot) -> None:
        lanes = [
            {key: value for key, value in vars(row).items() if not isinstance(value, bytes)}
            for row in shot.rows
        ]
        body = {"us": self._of_all(shot.us, shot.seconds), "lanes": lanes}
        self._write(f"{shot.channel.name}/lanes", "lanes", shot.seconds, body)

    def _batch(self, batch: Events) -> None:
        channel = batch.channel
        if batch.lost or batch.overwritten:
            end = f"sender {batch.sender}"
            if batch.sender is None:
                end = "receiver" + (f" {batch.receiver}" if batch.receiver else "")
            body = {
                "channel": channel.name,
                "end": end,
                "overwritten": batch.overwritten,
                "lost": batch.lost,
            }
            self._write("missing", "missing", time.monotonic(), body)
        for each in batch.events:
            self.events += 1
            body = {
                "us": self._of_all(each.us, each.seconds),
                "lane": lane_of(channel, each),
                "sender": each.sender,
                "size": each.size,
                "number": each.number,
            }
            figure = each.figure
            if each.outcome == "received":
                figure = figure * 1_000_000 // channel.hz
            body[_FIGURES[each.outcome]] = figure
            if each.size == 4 and len(each.head) == 4:
                body["value"] = int.from_bytes(each.head, "little", signed=True)
            body["data"] = each.head.hex()
            if each.priority is not None:
                body["class"] = each.priority
            if batch.receiver is not None:
                body["receiver"] = batch.receiver
            self._write(f"{channel.name}/{each.outcome}", each.outcome, each.seconds, body)

    def _write(self, topic: str, schema: str, seconds: float, body: dict[str, Any]) -> None:
        number = self._topics.get(topic)
        if number is None:
            known = self._schemas.get(schema)
            if known is None:
                text = json.dumps({"type": "object", "properties": _SCHEMAS[schema]})
                known = self._writer.register_schema(schema, "jsonschema", text.encode())
                self._schemas[schema] = known
            number = self._writer.register_channel(topic, "json", known)
            self._topics[topic] = number
        moment = int((self._wall + seconds) * 1e9)
        self._writer.add_message(number, moment, json.dumps(body).encode(), moment)


def lane_of(channel: Channel, event: Event) -> str:
    """Return the name of the lane of a class, "request" or "reply"; "-" where all share one."""
    if channel.pattern == "RequestReplyChannel":
        return "reply" if event.sender else "request"
    if channel.pattern == "PriorityChannel" and event.priority is not None:
        return CLASS_NAMES[event.priority]
    return "-"


def record(recorder: Recorder, seconds: float | None = None) -> None:
    """Record until `seconds` have passed, the program ends or Ctrl-C, and close the Recorder.

    The session is attached and wants events. Whatever ends it, the file is whole. Raise LinkError
    if another host has the events.
    """
    end = None if seconds is None else time.monotonic() + seconds
    session = recorder.session
    with recorder:
        try:
            while end is None or time.monotonic() < end:
                items = session.poll(0.1)
                recorder.add(items)
                if any(isinstance(each, Gone) for each in items):
                    break
                if any(isinstance(each, Status) and each.elsewhere for each in items):
                    raise LinkError(ELSEWHERE)
        except KeyboardInterrupt:
            pass


@dataclass(frozen=True)
class Recorded:
    """An event of a recording. `us`: since the recording's first event."""

    channel: str
    outcome: str
    us: int
    lane: str
    priority: int | None
    sender: int
    size: int
    number: int
    figure: int  # messages queued then; received: its latency in µs; taken, missed: how many
    head: bytes
    receiver: int | None  # whose event it is, 0 where there is one only; None: a sender's

    @property
    def word(self) -> int:
        """Its 4 bytes as a signed number."""
        return int.from_bytes(self.head, "little", signed=True)


class Recording:
    """Recording(path): what `ringlane record` has written.

    `events`, in the order of their times; `channels`, what is known of each by name; `missing`,
    how many events are not there, by channel; `text`, what the program printed; `resets`, behind
    what `us` the board began anew. Raise LinkError with one line if the file is none, cut off or
    another program's.
    """

    def __init__(self, path: str | Path) -> None:
        need("mcap")
        from mcap.exceptions import McapError
        from mcap.reader import make_reader

        self.path = Path(path)
        self.events: list[Recorded] = []
        self.missing: dict[str, int] = {}
        self.text = ""
        self.resets: list[int] = []
        about = None
        if not self.path.is_file():
            raise LinkError(f"no recording {path}")
        try:
            with self.path.open("rb") as file:
                reader = make_reader(file, validate_crcs=True)
                if reader.get_header().profile != _KIND:
                    raise LinkError(f"{path} is a recording of another program, not of ringlane")
                for metadata in reader.iter_metadata():
                    about = json.loads(metadata.metadata["about"])
                if about is None:
                    raise LinkError(f"{path} is cut off: its end is missing")
                for _, topic, message in reader.iter_messages():
                    self._add(topic.topic, json.loads(message.data))
        except (McapError, struct.error):
            raise LinkError(f"{path} is no recording, or cut off") from None
        except (ValueError, KeyError, EOFError) as error:
            raise LinkError(f"{path} is damaged: {error!r}") from None
        self.channels: dict[str, dict[str, Any]] = about["channels"]
        first = min((each.us for each in self.events), default=0)
        self.resets = [us - first for us in self.resets]
        self.events = sorted(
            (replace(each, us=each.us - first) for each in self.events), key=lambda each: each.us
        )

    def _add(self, topic: str, body: dict[str, Any]) -> None:
        if topic == "text":
            self.text += body["text"]
            return
        if topic == "missing":
            name = body["channel"]
            count = body["lost"] + body["overwritten"]
            self.missing[name] = self.missing.get(name, 0) + count
            return
        if topic == "reset":
            self.resets.append(body["us"])
            return
        name, _, outcome = topic.rpartition("/")
        if outcome in _FIGURES:
            self.events.append(
                Recorded(
                    name,
                    outcome,
                    body["us"],
                    body["lane"],
                    body.get("class"),
                    body["sender"],
                    body["size"],
                    body["number"],
                    body[_FIGURES[outcome]],
                    bytes.fromhex(body["data"]),
                    body.get("receiver"),
                )
            )

    def of(self, channel: str | None, *outcomes: str) -> list[Recorded]:
        """Return the events of a channel, of those outcomes; None: of the only channel.

        Raise LinkError if there is no such channel.
        """
        names = sorted({each.channel for each in self.events})
        if channel is None and len(names) == 1:
            channel = names[0]
        if channel not in names:
            there = ", ".join(names) or "none"
            raise LinkError(
                f"{self.path} has no events of a channel {channel!r}; there are {there}"
            )
        return [
            each
            for each in self.events
            if each.channel == channel and (not outcomes or each.outcome in outcomes)
        ]

    def messages(self, channel: str | None = None) -> list[Recorded]:
        """Return what was sent to a channel, whole, queued or not.

        Raise LinkError if some of it is missing, or longer than what the tap kept of each.
        """
        found = self.of(channel, "queued", "dropped", "rejected")
        for each in found:
            if each.size > len(each.head):
                raise LinkError(
                    f"{self.path} has {len(each.head)} of {each.size} bytes of a message of "
                    f"{each.channel!r}: record it with Recorder(head={-(-each.size // 4) * 4})"
                )
        name = found[0].channel if found else channel
        if self.missing.get(name or ""):
            raise LinkError(
                f"{self.path} lacks {self.missing[name or '']} events of {name!r}, so a replay "
                "would differ: record it with a larger Recorder(events=…)"
            )
        return found


def replay(
    recording: Recording,
    channel: Any,
    name: str | None = None,
    wait: Callable[[int], object] | None = None,
) -> int:
    """Send what a recording has of the channel `name` into `channel`, of any board or CPython.

    `name`: that of `channel` by default. `wait(us)`: called before each message with the time
    since the first; None: at once. Return how many it queued.
    """
    queued = 0
    for each in recording.messages(name or channel.name):
        if wait is not None:
            wait(each.us)
        queued += bool(channel.send(each.head, each.priority))
    return queued


@dataclass(frozen=True)
class Advice:
    """What a lane needed: a capacity of `needed` would have lost nothing; None: none would do."""

    channel: str
    lane: str
    capacity: int | None
    arrived: int
    dropped: int
    taken: int
    needed: int | None
    burst: int  # messages of the longest queue's build-up
    burst_us: int  # in so many microseconds
    burst_at_us: int  # from the recording's beginning
    longest_wait_us: int


def advise(recording: Recording) -> Iterator[Advice]:
    """Give an Advice for each lane of the recording.

    A lane's queue is played again with room for all: what came, also what was dropped, against
    what was taken, at the times of both; what was dropped would have been taken as soon as the
    receiver had nothing else. Where more came than was taken, to the end, no capacity would do.
    A reset of the board empties the queues.
    Of channels with several receivers there is none: a send does not say who got it.
    """
    lanes: dict[tuple[str, str, int], list[Recorded]] = {}
    for each in recording.events:
        pattern = recording.channels[each.channel]["pattern"]
        if each.outcome != "rejected" and pattern in _ADVISED:
            lanes.setdefault((each.channel, each.lane, each.sender), []).append(each)
    over_us = max((each.us for each in recording.events), default=0)
    for (name, lane, sender), events in sorted(lanes.items()):
        for us in recording.resets:
            place = bisect_right(events, us, key=lambda each: each.us)
            events.insert(place, replace(events[0], outcome="reset", us=us))
        depth = most = real = 0  # messages queued with room for all, the most of them; as it was
        service = _service_us(events)
        relieved = True  # the queue with room for all has been empty since a drop
        empty_at = began = events[0].us
        burst = burst_us = burst_at = climbed = 0
        came: list[int] = []
        for at, each in enumerate(events):
            if each.outcome in ("queued", "dropped"):
                if not depth:
                    empty_at = each.us
                    climbed = 0
                depth += 1
                climbed += 1
                if each.outcome == "queued":
                    real += 1
                else:
                    relieved = False
                came.append(each.us)
                if depth > most:
                    most, burst = depth, climbed
                    burst_us, burst_at = each.us - empty_at, empty_at
            elif each.outcome == "reset":
                depth = real = 0
                relieved = True
            else:
                count = each.figure if each.outcome == "taken" else 1
                depth, real = max(0, depth - count), max(0, real - count)
                if not real and depth:
                    idle = events[at + 1].us - each.us if at + 1 < len(events) else 1 << 62
                    depth -= min(depth, idle // service) if service else depth
                relieved = relieved or not depth
        arrived = [each for each in events if each.outcome in ("queued", "dropped")]
        dropped = sum(each.outcome == "dropped" for each in events)
        taken = sum(
            each.figure if each.outcome == "taken" else 1
            for each in events
            if each.outcome in ("received", "taken")
        )
        # Does the queue grow without end? Then it has not been empty since the first drop.
        overload = not relieved and depth > most // 2 and len(arrived) > taken + most // 2
        title = lane if sender == 0 else f"{lane}, sender {sender}"
        yield Advice(
            name,
            title,
            _capacity(recording, name, arrived),
            len(arrived),
            dropped,
            taken,
            None if overload else max(most, 1),
            burst,
            burst_us,
            burst_at - (began - events[0].us),
            _longest_wait_us(events, over_us),
        )


def _longest_wait_us(events: list[Recorded], over_us: int) -> int:
    # Of what was received, taken unseen, lost by a reset, or is queued when the recording is over.
    longest = 0
    queued: deque[Recorded] = deque()
    for each in events:
        if each.outcome == "queued":
            queued.append(each)
        elif each.outcome in ("received", "taken"):
            longest = max(longest, each.figure if each.outcome == "received" else 0)
            # Numbers are modulo 2**30, and events of those before it may be missing.
            while queued and (each.number - queued[0].number) & US_MASK <= US_MASK >> 1:
                since = queued.popleft()
                if each.outcome == "taken":
                    longest = max(longest, each.us - since.us)
        elif each.outcome == "reset" and queued:
            longest = max(longest, each.us - queued[0].us)
            queued.clear()
    return max(longest, over_us - queued[0].us if queued else 0)


def _service_us(events: list[Recorded]) -> int:
    # How long the receiver takes for a message while there are more.
    gaps, real, last = [], 0, None
    for each in events:
        if each.outcome == "queued":
            real += 1
        elif each.outcome == "reset":
            real, last = 0, None
        elif each.outcome != "dropped":
            if last is not None and real > 1:
                gaps.append(each.us - last)
            real = max(0, real - (each.figure if each.outcome == "taken" else 1))
            last = each.us if real else None
    return sorted(gaps)[len(gaps) // 2] if gaps else 0


def _capacity(recording: Recording, name: str, arrived: list[Recorded]) -> int | None:
    # What the lane had: as many as were queued when one was dropped.
    return next((each.figure for each in arrived if each.outcome == "dropped"), None)
