"""`ringlane record`, `replay`, `echo`, `hz` and `advise`."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringlane.names import CLASS_NAMES

from . import LinkError, ProgramEnded
from .recording import Recorder, Recording, advise, lane_of, record
from .remote import RemoteBoard, remote
from .session import ELSEWHERE, Channel, Event, Events, Session, Status
from .watch import shown
from .wires import open_wire, patience_s

_TABLE_S = 3.0


@contextmanager
def attached(target: str, uf2: str | None, files: tuple[Path, ...]) -> Iterator[Session]:
    """Give a session with the board, with events. A context manager."""
    with open_wire(target, uf2, files) as wire, Session(wire, events=True) as session:
        session.attach(patience_s(target, files))
        yield session


def run_record(
    target: str, uf2: str | None, files: tuple[Path, ...], path: Path, seconds: float | None
) -> None:
    """Record to `path`, and say what is in it."""
    if path.suffix != ".mcap":
        raise LinkError(f"a recording's name ends in .mcap, not {path.name!r}")
    if not path.parent.is_dir():
        raise LinkError(f"no folder {path.parent}")
    with attached(target, uf2, files) as session:
        recorder = Recorder(path, session)
        try:
            record(recorder, seconds)
        except ProgramEnded as ended:
            if ended.error:
                raise
        finally:
            counts = session.counts
            missed = counts.events_overwritten + counts.events_lost
            if counts.events:
                print(
                    f"{path}: {recorder.events:,} events"
                    + (f"; {missed:,} more are missing, counted there" if missed else "")
                )
            else:
                path.unlink()
        if not counts.events:
            if any(each.tapped for each in (session.table or {}).values()):
                raise LinkError("nothing went through the channels there that have a tap")
            raise LinkError("no channel there has a tap: make one with tap=ringlane.Recorder()")


def follow(session: Session, name: str, seconds: float | None) -> Iterator[tuple[Channel, Events]]:
    """Give the events of the channel `name`.

    Raise LinkError if it has none, is not there, or another host has them.
    """
    begin = time.monotonic()
    known: dict[str, Channel] = {}
    statuses = untold = 0
    while seconds is None or time.monotonic() - begin < seconds:
        for each in session.poll(0.1):
            if isinstance(each, Channel):
                known[each.name] = each
            elif isinstance(each, Status):
                statuses, untold = statuses + 1, each.untold
                if each.elsewhere:
                    raise LinkError(ELSEWHERE)
            elif isinstance(each, Events) and each.channel.name == name:
                yield each.channel, each
        if name not in known and statuses > 1 and time.monotonic() - begin > _TABLE_S:
            raise _no_channel(name, known, untold)
        if name in known and not known[name].tapped:
            raise LinkError(f"channel {name!r} has no tap: make it with tap=ringlane.Recorder()")

    if known and name not in known:  # without any, the board had no time to tell them
        raise _no_channel(name, known, untold)


def _no_channel(name: str, known: dict[str, Channel], untold: int) -> LinkError:
    there = ", ".join(sorted(known)) or "none with a name"
    if untold:
        there += f", and {untold} that the link does not tell, as it tells {len(known)}"
    return LinkError(f"no channel {name!r} on that board; there are {there}")


def run_echo(
    target: str, uf2: str | None, files: tuple[Path, ...], name: str, seconds: float | None
) -> None:
    """Print each message that is sent to the channel, and what became of it."""
    with attached(target, uf2, files) as session:
        for channel, batch in follow(session, name, seconds):
            missing = batch.lost + batch.overwritten
            if missing:
                print(f"({missing:,} not seen)", flush=True)
            for each in batch.events:
                if each.outcome in ("queued", "dropped", "rejected"):
                    print(_line(channel, each), flush=True)
                elif each.outcome == "missed":
                    print(f"(receiver {batch.receiver} missed {each.figure:,})", flush=True)


def _line(channel: Channel, event: Event) -> str:
    lane = lane_of(channel, event)
    if lane == "-" and event.priority is not None:
        lane = CLASS_NAMES[event.priority]
    outcome = "" if event.outcome == "queued" else f"  {event.outcome}"
    what = shown(event.head or None, event.size)
    return f"{event.us / 1e6:12.6f}  {lane:8}  {event.size:5} B  {what}{outcome}"


def run_hz(
    target: str, uf2: str | None, files: tuple[Path, ...], name: str, seconds: float | None
) -> None:
    """Print once a second how often messages come to the channel, by their own times."""
    with attached(target, uf2, files) as session:
        times: deque[float] = deque(maxlen=10_000)
        printed, told = time.monotonic(), False
        for channel, batch in follow(session, name, seconds):
            if batch.lost or batch.overwritten:
                times.clear()  # an interval across a gap is none
            replies = channel.pattern == "RequestReplyChannel" and batch.sender
            if batch.sender is None or replies:
                continue
            for each in batch.events:
                if each.outcome == "queued":
                    times.append(each.us / 1e6)
            told = time.monotonic() - printed > 1 and len(times) > 2
            if told:
                printed = time.monotonic()
                print(_rate(times), flush=True)
        if len(times) < 3:
            raise LinkError(f"fewer than 3 messages came to {name!r}")
        if not told:
            print(_rate(times), flush=True)


def _rate(times: deque[float]) -> str:
    ordered = sorted(times)
    gaps = [b - a for a, b in zip(ordered, ordered[1:], strict=False)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    return (
        f"{1 / mean if mean else 0:,.2f} messages a second; intervals "
        f"{min(gaps) * 1e3:.3f} to {max(gaps) * 1e3:.3f} ms, deviation {spread * 1e3:.3f} ms, "
        f"of the last {len(times):,}"
    )


def run_advise(path: Path) -> None:
    """Print for each lane of a recording the capacity that would have lost nothing."""
    recording = Recording(path)
    found = list(advise(recording))
    others = sorted({each.channel for each in recording.events} - {each.channel for each in found})
    if not found:
        raise LinkError(f"{path} has no events of a Channel or PriorityChannel that had a tap")
    print(f"{'channel':12} {'lane':18} {'came':>8} {'dropped':>8} {'needs':>7}  why")
    for each in found:
        burst = f"{each.burst:,} came in {each.burst_us / 1e3:,.1f} ms"
        burst += f", at {each.burst_at_us / 1e6:.3f} s"
        needs = f"{each.needed:,}" if each.needed else "-"
        if each.needed is None:
            burst = f"no capacity will do: {each.arrived:,} came, {each.taken:,} were taken"
        print(
            f"{each.channel:12} {each.lane:18} {each.arrived:8,} {each.dropped:8,} {needs:>7}  "
            f"{burst}"
        )
    starved = max(found, key=lambda each: each.longest_wait_us)
    print(
        f"longest wait: {starved.longest_wait_us / 1e3:,.1f} ms, in {starved.channel} "
        f"{starved.lane}"
    )
    for name, count in sorted(recording.missing.items()):
        print(f"{count:,} events of {name} are missing: what it needs may be more")
    for name in others:
        pattern = recording.channels[name]["pattern"]
        print(f"not advised: {name}, a {pattern}; only a Channel and a PriorityChannel are")


def run_replay(path: Path, firmware: Path, channel: str | None, board_name: str) -> None:
    """Run a firmware on a simulated board, with a recording sent to its channel; print its log."""
    from ..board import SimulatedBoard

    board = SimulatedBoard(board_name, firmware.parent)
    try:
        board.run(firmware.name)
        count = board.replay(path, channel)
        last = Recording(path).messages(channel)[-1].us if count else 0
        board.advance(us=last + 1_000_000)
        print(board.log, end="")
        print(f"{count:,} messages replayed; {list(board.channels)}")
        board.stop()
    except LinkError:
        raise
    except Exception as error:  # of the firmware, or what the board says of it
        raise LinkError(f"{firmware}: {type(error).__name__}: {error}".splitlines()[0]) from None
    finally:
        board.close()


def run_replay_at(
    path: Path,
    target: str,
    uf2: str | None,
    files: tuple[Path, ...],
    channel: str | None,
    speed: float,
) -> None:
    """Send a recording into the channels that the program at `target` accepts; say what became."""
    asyncio.run(_replay_at(Recording(path), remote(target, *files, uf2=uf2), channel, speed))


async def _replay_at(
    recording: Recording, target: RemoteBoard, name: str | None, speed: float
) -> None:
    recorded = sorted({each.channel for each in recording.events}) if name is None else [name]
    async with target as board:
        names = [name for name in recorded if name in board.channels]
        if name is None:
            names = [name for name in names if board.channels[name].accepts]
        if not names:
            there = ", ".join(sorted(n for n, c in board.channels.items() if c.accepts)) or "none"
            raise LinkError(
                f"nothing of {recording.path} can be sent there: it has {', '.join(recorded)}; "
                f"channels that take something from a host, by ringlane.remote.accept(): {there}"
            )
        messages = [each for name in names for each in recording.messages(name)]
        messages.sort(key=lambda each: each.us)
        for each in messages:
            slot_size = board.channels[each.channel].slot_size
            if each.size > slot_size:
                raise LinkError(
                    f"{recording.path} has a message of {each.size} bytes for {each.channel!r}, "
                    f"whose slots there have {slot_size}"
                )
        begin = time.monotonic() - (messages[0].us / 1e6 / speed if messages else 0)
        latest = 0.0
        sending = set()
        for each in messages:
            due = begin + each.us / 1e6 / speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            latest = max(latest, time.monotonic() - due)
            channel = board.channel(each.channel)
            send = channel.asend(each.head, each.priority or 0, timeout_ms=0)
            sending.add(asyncio.create_task(send))
        done = await asyncio.gather(*sending, return_exceptions=True)
        for error in done:
            if isinstance(error, Exception) and not isinstance(error, LinkError):
                raise error
        for name in names:
            counts = board.channel(name).counters
            print(
                f"{name}: {counts.sent:,} sent, {counts.refused:,} found no room, "
                f"{counts.closed + counts.failed:,} not delivered, {counts.unknown:,} unknown"
            )
        print(
            f"{len(messages):,} messages at {speed:g} times their speed, up to "
            f"{latest * 1e3:.1f} ms late"
        )
