"""`ringlane top`: the channels of a running board, live."""

import json
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import ProgramEnded
from .session import Session
from .watch import Lane, Watch, look, shown
from .wires import open_wire, patience_s

_BARS = " ▁▂▃▄▅▆▇█"
_DEPTH = 10
_SORTS = ("name", "rate", "dropped", "latency")
_WIDTH = 132
_COLUMNS: tuple[tuple[str, Any, int], ...] = (
    ("channel", "left", 7),
    ("lane", "left", 8),
    ("sent/s", "right", 6),
    ("", "left", 12),
    ("queued", "left", 16),
    ("high", "right", 4),
    ("dropped", "right", 7),
    ("rejected", "right", 8),
    ("lost/s", "right", 6),
    ("p50", "right", 7),
    ("p99", "right", 7),
    ("max", "right", 7),
    ("last", "left", 10),
)


def top(
    target: str,
    uf2: str | None = None,
    files: tuple[Path, ...] = (),
    *,
    once: bool = False,
    as_json: bool = False,
    svg: Path | None = None,
    seconds: float = 1.0,
) -> int:
    """Show the channels of the board at `target` until q; return the exit status.

    `once`: look for `seconds`, print, end. `as_json`: print JSON, `once`. `svg`: write a picture,
    `once`. Raise LinkError if there is no link.
    """
    with open_wire(target, uf2, files) as wire, Session(wire, events=True) as session:
        watch = Watch()
        try:
            session.attach(patience_s(target, files))
            if once or as_json or svg:
                look(session, watch, seconds, max(60.0, patience_s(target, files)))
            else:
                _live(session, watch, wire.name)
        except ProgramEnded as ended:
            if ended.error or not watch.lanes:
                raise
        if as_json:
            print(json.dumps(watch.as_json(session), indent=1))
        elif once or svg:
            _print(session, watch, wire.name, svg)
    return 0


def _print(session: Session, watch: Watch, name: str, svg: Path | None) -> None:
    from rich.console import Console

    console = Console(record=bool(svg), width=_WIDTH if svg or not sys.stdout.isatty() else None)
    console.print(_picture(session, watch, name))
    if svg:
        # Without the fonts that rich would have the reader fetch.
        picture = console.export_svg(title=f"ringlane top {name}")
        svg.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


def _live(session: Session, watch: Watch, name: str) -> None:
    from rich.live import Live
    from rich.text import Text

    sort = 0
    with _keys() as key, Live(auto_refresh=False, screen=True) as live:
        drawn = 0.0
        while True:
            watch.update(session.poll(0.05))
            pressed = key()
            if pressed in ("q", "\x03"):
                return
            if pressed == "s":
                sort = (sort + 1) % len(_SORTS)
            if time.monotonic() - drawn > 0.25 or pressed:
                drawn = time.monotonic()
                picture = _picture(session, watch, name, _SORTS[sort])
                picture.renderables.append(Text(f"q quits, s sorts (by {_SORTS[sort]})", "dim"))
                live.update(picture, refresh=True)


@contextmanager
def _keys() -> Iterator:  # type: ignore[type-arg]
    """Give a function that returns the key that was pressed, "" if none was."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    try:
        import termios
        import tty
    except ImportError:  # Windows
        import msvcrt

        yield lambda: msvcrt.getwch() if msvcrt.kbhit() else ""  # type: ignore[attr-defined]
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        fd = sys.stdin.fileno()
        yield lambda: os.read(fd, 1).decode() if select.select([fd], [], [], 0)[0] else ""
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _picture(session: Session, watch: Watch, name: str, sort: str = "name"):  # type: ignore[no-untyped-def]
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(expand=True, box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    for title, justify, width in _COLUMNS:
        table.add_column(title, justify=justify, no_wrap=True, min_width=width)
    before = None
    for lane in _sorted(watch, sort):
        losing = lane.dropped_rate or lane.rejected_rate
        table.add_row(*_cells(lane, before), style="red" if losing else None)
        before = lane.channel.name if sort == "name" else None
    lines: list[Any] = [Text(_head(session, watch, name), style="bold"), table]
    lines += [Text(line, style="dim", no_wrap=True) for line in watch.text]
    return Group(*lines)


def _head(session: Session, watch: Watch, name: str) -> str:
    hello, status, counts = watch.hello, watch.status, session.counts
    parts = [name]
    if hello:
        parts.append(f"ringlane {hello.ringlane}, MicroPython {hello.micropython}")
    if status:
        parts.append(f"{status.heap_free / 1024:.0f} KB free")
        _, wrong = session.board_clock.at(status.us)
        if status.untold:
            parts.append(f"{status.untold} more channels are not shown")
        if status.elsewhere:
            parts.append("events go to another host")
        parts.append(f"clock {status.us / 1e6:.1f} s ± {wrong * 1e3:.1f} ms")
    missed = counts.events_overwritten + counts.events_lost
    for figure, text in (
        (counts.resets, "resets"),
        (counts.frames_lost + counts.damaged, "frames lost"),
        (missed, "events not seen"),
    ):
        if figure:
            parts.append(f"{figure:,} {text}")
    return " · ".join(parts)


def _sorted(watch: Watch, sort: str) -> list[Lane]:
    lanes = [each for key, each in watch.lanes.items() if key[0] in watch.channels]
    if sort == "name":
        names = sorted(watch.channels)
        return sorted(lanes, key=lambda each: names.index(each.channel.name))
    if sort == "rate":
        return sorted(lanes, key=lambda each: -each.sent_rate)
    if sort == "dropped":
        return sorted(lanes, key=lambda each: -_losses(each))
    return sorted(lanes, key=lambda each: -(each.latency or (0, 0, 0))[1])


def _losses(lane: Lane) -> int:
    return (lane.row.dropped or 0) + (lane.row.rejected or 0)


def _cells(lane: Lane, before: str | None) -> list[str]:
    row = lane.row
    latency = ["", "", ""]
    if lane.latency:
        latency = [_time(each) for each in lane.latency]
    lost = lane.dropped_rate + lane.rejected_rate
    full = row.queued / row.capacity if row.capacity else 0
    bar = "█" * min(_DEPTH, -int(-full * _DEPTH // 1))
    return [
        "" if lane.channel.name == before else lane.channel.name,
        row.label,
        f"{lane.sent_rate:,.0f}" if lane.sent_rate >= 10 else f"{lane.sent_rate:.1f}",
        _sparkline(list(lane.history)[-12:]),
        f"{bar:·<{_DEPTH}} {row.queued}/{row.capacity}",
        "" if row.high_water is None else str(row.high_water),
        "" if row.dropped is None else f"{row.dropped:,}",
        "" if row.rejected is None else f"{row.rejected:,}",
        f"{lost:,.1f}" if lost else "",
        *latency,
        shown(row.last, row.last_size),
    ]


def _time(us: float) -> str:
    if us < 1e4:
        return f"{us:.0f} µs"
    return f"{us / 1e3:.0f} ms" if us < 1e6 else f"{us / 1e6:.1f} s"


def _sparkline(values: list[float]) -> str:
    most = max(values, default=0) or 1
    return "".join(_BARS[-int(-value * (len(_BARS) - 1) // most)] for value in values)
