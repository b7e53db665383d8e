"""FlightRecorder: a Recorder in memory that a reset leaves as it is: the last events before it.

    from ringlane import HIGH, Channel, FlightRecorder

    flight = FlightRecorder(events=32, head=4)  # first, while most of the heap is free
    for event in flight.before:
        print(event)  # of the run before the reset
    ch = Channel(16, slot_size=4, name="adc", tap=flight)

`ringlane post-mortem PORT` prints the same, so does ringlane.flight.show() at the prompt. Which
memory it is, `flight.where`, depends on the board:

    RP2040, RP2350         the heap: its end stays after machine.reset(), a watchdog or Ctrl-D
    with mem_backup()      that memory: MicroPython 1.29 on an ESP32, 2 KB of the RTC's
    others                 none: a file, when the program calls flight.save(), as in `finally:`

No memory stays without power, and no file is written but by save().
"""

import sys
from binascii import crc32
from struct import calcsize, pack_into, unpack_from

import micropython
from micropython import const

from .checks import check_int
from .names import CLASS_NAMES
from .port import address
from .tap import MISSED, OUTCOMES, RECEIVED, TAKEN, Recorder, event_of

FILE = "flight.bin"
_WORD = "<I"
_HEADER = "<4sII"  # mark, bytes of all, the number of the run; then the CRC-32 of these
_HEADER_BYTES = const(16)
_MARK = b"RLF1"
_MARK_WORD = const(0x31464C52)
# Mark, bytes of ring and this, its words before the first event, bytes of an event, events kept,
# Hz and period of the clock, the sender, the receiver and the bytes of the name; then the CRC-32
# of these.
_RING = "<4sIIIIIIBBB29s"
_RING_HEADER_BYTES = const(64)
_RING_MARK = b"RING"
_NAME_BYTES = const(29)
_NO_END = const(255)  # the sender of a receiver's ring, the receiver of a sender's
_ALIGNED = const(15)  # where a block of the heap begins on a chip
_RAM = const(0x20000000)  # RP2040 datasheet 2.2, RP2350 datasheet 2.2
_SMALLEST = const(256)
_LARGEST = const(65536)

_latest = None  # the FlightRecorder of this run


@micropython.viper
def _find(low: int, high: int) -> int:
    # The address of the last mark in low..high, 0: none.
    while high > low:
        high -= 16
        if ptr32(high)[0] == _MARK_WORD:
            return high
    return 0


def _ram_end():
    """Return the end of the chip's RAM, of which a reset leaves what is there; 0: not known so."""
    if sys.platform != "rp2" or "simulated" in sys.version:  # whose memory lies elsewhere
        return 0
    return 0x20082000 if "RP2350" in sys.implementation._machine else 0x20042000


def _backup():
    """Return the memory of machine.mem_backup(); None where there is none of bytes."""
    try:
        import machine
    except ImportError:
        return None
    mem_backup = getattr(machine, "mem_backup", None)
    memory = mem_backup and mem_backup()
    return memory if memory and memory.itemsize == 1 else None


def _run_of(raw):
    """Return (bytes, number of the run) of what a FlightRecorder began; None for what is not."""
    if len(raw) < _HEADER_BYTES:
        return None
    mark, size, run = unpack_from(_HEADER, raw)
    sealed = mark == _MARK and crc32(raw[:12]) == unpack_from(_WORD, raw, 12)[0]
    return (size, run) if sealed else None


def _in_ram(end):
    # What the latest run has left, of all that can be found.
    import uctypes

    found = None
    latest = -1
    at = _find(_RAM, end)
    while at:
        of = _run_of(uctypes.bytes_at(at, _HEADER_BYTES))
        if of and of[1] > latest and _SMALLEST <= of[0] <= end - at:
            found = at, of[0]
            latest = of[1]
        at = _find(_RAM, at)
    return uctypes.bytes_at(*found) if found else None


def _left(file):
    """Return (its number, its rings as of _events_of) of the run that has left some; (0, [])."""
    raw = None
    memory = _backup()
    if memory is not None:
        raw = bytes(memory)
    elif _ram_end():
        raw = _in_ram(_ram_end())
    else:
        try:
            with open(file, "rb") as data:
                raw = data.read()
        except OSError:
            pass
    of = raw and _run_of(raw)
    return (of[1], _events_of(raw)) if of else (0, [])


def _high_block(size, end):
    """Return a bytearray near the end of the heap, which programs reach last after a reset."""
    import gc

    gc.collect()
    blocks = None  # a chain of all that there is room for
    best = None
    try:
        while True:
            blocks = (bytearray(size), blocks)
            if best is None or address(best) < address(blocks[0]) < end:
                best = blocks[0]
    except MemoryError:
        pass
    blocks = None
    gc.collect()
    if best is None:
        raise MemoryError("FlightRecorder: no %d bytes in one piece" % size)
    return best


def _events_of(raw):
    """Return [(hz, period, [Event, ...]), ...], one of each end of a channel, from its bytes."""
    found = []
    at = _HEADER_BYTES
    while at + _RING_HEADER_BYTES <= len(raw):
        mark, size, first, stride, kept, hz, period, _, receiver, count, name = unpack_from(
            _RING, raw, at
        )
        end = at + _RING_HEADER_BYTES - 4
        if mark != _RING_MARK or crc32(raw[at:end]) != unpack_from(_WORD, raw, end)[0]:
            break
        ring = at + _RING_HEADER_BYTES
        begun, done = unpack_from("<2I", raw, ring)
        events = []
        number = max(done - kept, 0)
        if begun != done and number:
            number += 1  # the reset came while it was overwritten
        while number < done:
            event = ring + first + (number & kept - 1) * stride
            name_of = name[:count].decode() or None
            whose = None if receiver == _NO_END else receiver
            events.append(event_of(raw[event : event + stride], name_of, period, whose))
            number += 1
        found.append((hz, period, events))
        at += size
    return found


def _in_order(rings):
    """Return [(Event, µs since the last one, Hz), ...] in the order of their times, by clock."""
    found = []
    clocks = []
    for hz, period, _ in rings:
        if (hz, period) not in clocks:
            clocks.append((hz, period))
    for clock in clocks:
        hz, period = clock
        events = [each for ring in rings if ring[:2] == clock for each in ring[2]]
        if events:
            origin = events[-1].time
            half = period >> 1
            # Not by time alone: MicroPython's sort may exchange what is equal.
            order = [
                (((each.time - origin + half) & period - 1) - half, number)
                for number, each in enumerate(events)
            ]
            order.sort()
            last = order[-1][0]
            for age, number in order:
                found.append((events[number], (age - last) * 1000000 // hz, hz))
    return found


class FlightRecorder(Recorder):
    """FlightRecorder(events=32, head=0, size=4096, file="flight.bin")

    A Recorder whose rings lie in `size` bytes, 256..65536, that a reset leaves. `events` and
    `head` as for Recorder; a channel whose ends find no more room there raises ValueError. One in
    a program. See above for where it is; where no memory stays, `file` is read, and save() writes
    it. On an RP2040 and RP2350 it takes all the heap for a tenth of a second, so make it before a
    second core runs.

    Attributes: `before`, a list of Event: what the run before has left, in the order of time;
    `run`, how many runs have been recorded, this one included; `where`: "RAM", "backup memory",
    "file".
    """

    def __init__(self, events=32, head=0, size=4096, file=FILE):
        global _latest
        super().__init__(events, head)
        check_int("size", size, _SMALLEST, _LARGEST)
        if not isinstance(file, str) or not file:
            raise TypeError("file must be a path, not %r" % (file,))
        memory = _backup()
        if memory is not None and len(memory) < size:
            raise ValueError("size must be up to %d on this board, not %d" % (len(memory), size))
        run, self._rings_before = _left(file)
        self.run = run + 1
        self._file = file
        if memory is not None:
            self.where = "backup memory"
            self._kept = memory[:size]
            self._kept[:] = bytearray(size)
        elif _ram_end():
            self.where = "RAM"
            self._kept = memoryview(_high_block(size, _ram_end()))
        else:
            self.where = "file"
            self._kept = memoryview(bytearray(size))
        self._used = _HEADER_BYTES
        pack_into(_HEADER, self._kept, 0, _MARK, size, self.run)
        self._seal(0, _HEADER)
        _latest = self

    @property
    def before(self):
        return [event for event, _, _ in _in_order(self._rings_before)]

    def save(self):
        """Write what is recorded to the file, for boards that keep no memory over a reset.

        Context: a task, not a handler | alloc: yes | blocks: for the flash's time
        """
        with open(self._file, "wb") as data:
            data.write(self._kept)

    def _memory(self, ring, first):
        bytes_of_ring = first + ring.kept * ring.stride
        at = self._used
        size = _RING_HEADER_BYTES + bytes_of_ring + _ALIGNED & ~_ALIGNED
        if size > len(self._kept) - at:
            raise ValueError(
                "FlightRecorder: an end of channel %r takes %d bytes, and %d of size=%d are free"
                % (ring.channel.name, size, len(self._kept) - at, len(self._kept))
            )
        name = ring.channel.name or ""
        while len(name.encode()) > _NAME_BYTES:
            name = name[:-1]
        name = name.encode()
        clock = ring.channel.clock
        sender = _NO_END if ring.sender is None else ring.sender
        receiver = _NO_END if ring.receiver is None else ring.receiver
        figures = size, first, ring.stride, ring.kept, clock.hz, clock.period
        pack_into(_RING, self._kept, at, _RING_MARK, *figures, sender, receiver, len(name), name)
        self._seal(at, _RING)
        self._used = at + size
        return self._kept[at + _RING_HEADER_BYTES : at + _RING_HEADER_BYTES + bytes_of_ring]

    def _seal(self, at, form):
        end = at + calcsize(form)
        pack_into(_WORD, self._kept, end, crc32(self._kept[at:end]))


def show(file=FILE):
    """Print the last events before the reset, in the order of time; return how many.

    Of the run before this program's FlightRecorder; where there is none, of the last one, and of
    the first one what it has saved. Times are back from the last event.
    """
    if _latest is None:
        run, rings = _left(file)
    elif _latest.run == 1 and _latest.where == "file":
        run, rings = _left(_latest._file)
    else:
        rings = _latest._rings_before
        run = _latest.run - 1
    events = _in_order(rings)
    if not run:
        print("no run before has left anything")
        return 0
    print("run %d, its last %d events, in ms back from the last one:" % (run, len(events)))
    for event, ago, hz in events:
        if event.outcome == RECEIVED:
            figure = "waited %d us" % (event.figure * 1000000 // hz)
        elif event.outcome in (TAKEN, MISSED):
            figure = "%d of them" % event.figure
        else:
            figure = "%d queued" % event.figure
        level = "-" if event.priority is None else CLASS_NAMES[event.priority]
        end = " of sender %d" % event.sender if event.sender else ""
        if event.receiver:
            end += " at receiver %d" % event.receiver
        line = "%12.3f  %-12s %-8s %-8s #%d, %d bytes, %s%s" % (
            ago / 1000,
            event.channel or "-",
            OUTCOMES[event.outcome],
            level,
            event.number,
            event.size,
            figure,
            end,
        )
        print(line + " " + event.head.hex() if event.head else line)
    return len(events)
