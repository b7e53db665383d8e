"""The helper of a test on a board: it moves pins and looks at them, beside the firmware.

The host (board/port.py) asks over the console, which a soft timer reads; the answers go between
what is printed. A question and an answer:

    \\x1d N SS what \\n        N: its number, a character; SS: the sum of `what`, in hexadecimal
    \\x1d N answer \\x1e       asked again, the same question gets the same answer, and no more

    t              the time: the board's microseconds
    v25            the level of pin 25
    w25            note its edges from now on; the answer says whether that can be done
    p2             begin a plan for pin 2; it says how the pin is moved
    +30000h20l     changes: microseconds since the one before, and a letter of _LETTERS
    g              let the plan begin now

By itself it says \\x1d! and what happens: `up`, `waits` (asyncio's first wait), `ended` and the
traceback, `e` and an edge. A question is shorter than the 30 bytes that a board skips which waits
for a file of mpremote's mounted folder; while it does, nothing is read or said here.
"""

import select
import sys
import time

from machine import Pin, Timer, disable_irq, enable_irq, mem32

_TICK_MS = 5
_EDGES = 128  # that are noted between two ticks
_LETTERS = "lhzptn"  # low, high, let go, pressed, toggled, nothing
_LOW, _HIGH, _LET_GO, _PRESSED, _TOGGLED = range(5)
_MASK = 0x3FFFFFFF
_HZ = 1000000


class _Rp2:
    # The chip overrides what a pin's input sees, so nothing has to be wired. Where an override
    # makes no edge, its output driver moves the pad. RP2040 and RP2350 datasheets, IO_BANK0 and
    # PADS_BANK0.
    def __init__(self):
        second = "RP2350" in sys.implementation._machine
        self._io = 0x40028000 if second else 0x40014000
        self._pads = 0x40038004 if second else 0x4001C004
        self._raw = self._io + (0x230 if second else 0xF0)
        self._enabled = self._io + (0x248 if second else 0x100)
        self._output, self._enable = (12, 14) if second else (8, 12)
        self._normal = ~(3 << 16 | 3 << self._output | 3 << self._enable)
        self._known = {}  # by pin: what a hard handler needs, as it makes no objects

    def prepare(self, number):
        """Return how the pin is moved."""
        if number not in self._known:
            pin = Pin(number)
            known = [pin, self._io + 8 * number + 4, self._pads + 4 * number, 0, 0]
            self._known[number] = known
            self._calibrate(number, known)
        return "override" if self._known[number][3] else "output"

    def _calibrate(self, number, known):
        # Does an override make edges? The raw interrupts tell, also of those that are masked.
        raw, shift = self._raw + 4 * (number >> 3), 4 * (number & 7)
        known[3] = 1
        state = disable_irq()
        self.put(number, _LOW)
        mem32[raw] = 12 << shift
        self.put(number, _HIGH)
        self.put(number, _LOW)
        known[3] = int(mem32[raw] >> shift & 12 == 12)
        self.put(number, _LET_GO)
        mem32[raw] = 12 << shift
        enable_irq(state)

    def put(self, number, level):
        """Bring the pin to a level; called by a hard handler."""
        known = self._known[number]
        register = known[1]
        if level == _PRESSED:
            level = 1 if mem32[known[2]] & 12 == 4 else 0  # its pull is down
        elif level == _TOGGLED:
            level = 1 - known[0].value()
        control = mem32[register] & self._normal
        if level != _LET_GO:
            level = level | 2
            if known[3]:
                control = control | level << 16
            else:
                control = control | level << self._output | 3 << self._enable
        if level != _LET_GO and not known[3] and not known[4]:
            # At its weakest, in case that something is wired to it.
            known[4] = 1 + (mem32[known[2]] & 0x30)
            mem32[known[2]] = mem32[known[2]] & ~0x30
        mem32[register] = control
        if level == _LET_GO and known[4]:
            mem32[known[2]] = mem32[known[2]] & ~0x30 | known[4] - 1
            known[4] = 0

    def listens(self, number):
        """Return whether the firmware has an interrupt at the pin."""
        return mem32[self._enabled + 4 * (number >> 3)] >> 4 * (number & 7) & 15


class _Wired:
    # Another pin is wired to it, which the helper drives.
    def __init__(self, wires):
        self.wires = wires
        self._known = {}

    def prepare(self, number):
        """Return how the pin is moved."""
        if number not in self._known:
            pin = Pin(number)
            self._known[number] = [pin, Pin(self.wires[number], Pin.IN), pin.value(), 0]
        return "wire"

    def put(self, number, level):
        """Bring the pin to a level."""
        known = self._known[number]
        pin, driver, free, driven = known
        if not driven:
            known[2] = free = pin.value()
        if level == _LET_GO:
            driver.init(Pin.IN)
        else:
            if level == _PRESSED:
                level = 1 - free
            elif level == _TOGGLED:
                level = 1 - pin.value()
            driver.init(Pin.OUT, value=level)
        known[3] = level != _LET_GO


def _timer(*numbers):
    for number in numbers:
        try:
            return Timer(number)
        except ValueError:  # on ESP32 they are numbered, and some have two
            pass
    raise RuntimeError("this board has no Timer for the test's helper")


class _Helper:
    def __init__(self, remote, wires):
        self._in = sys.stdin.buffer
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._byte = bytearray(1)
        self._question = bytearray()
        self._number = self._answer = ""
        self._wired = _Wired(wires)
        self._chip = _Rp2() if sys.platform == "rp2" else None
        self._plan = []
        self._pin = 0
        self._due, self._moves, self._next = [], [], 0  # by time, for the hard handler
        self._on_due = self._move
        self._edges = [0] * (2 * _EDGES)
        self._noted = self._told = 0
        self._watched = {}
        self._away = False  # a request to the mounted folder is on its way
        self._guard(remote)
        self._clock = _timer(-1, 3, 1)
        self._mover = _timer(-1, 2, 0)
        self._hard = self._chip is not None
        if self._hard:
            try:
                self._mover.init(mode=Timer.ONE_SHOT, period=1, callback=self._on_due, hard=True)
            except TypeError:  # MicroPython 1.25
                self._hard = False
        self._clock.init(period=_TICK_MS, callback=self._tick)

    def _guard(self, remote):
        begin, end = remote.begin, remote.end

        def begin_alone(self_, kind):
            self._away = True
            begin(self_, kind)

        def end_alone(self_):
            end(self_)
            self._away = False

        remote.begin, remote.end = begin_alone, end_alone

    def say(self, text):
        """Tell the host something by itself, from the program."""
        while self._away:
            time.sleep_ms(1)
        sys.stdout.write("\x1d!" + text + "\x1e")

    def stop(self):
        """Let go of every pin, and listen no more."""
        self._clock.deinit()
        self._mover.deinit()
        for way in (self._wired, self._chip):
            for number in way._known if way else ():
                way.put(number, _LET_GO)

    def _way(self, number):
        return self._wired if number in self._wired.wires else self._chip

    def _tick(self, timer):
        if self._away:
            return
        while any(True for _ in self._poll.ipoll(0)):
            if not self._in.readinto(self._byte, 1):
                break
            byte = self._byte[0]
            if byte == 0x1D:
                self._question = bytearray()
            elif byte == 10:
                self._take(self._question)
                self._question = bytearray()
            else:
                self._question.append(byte)
        self._tell_edges()

    def _tell_edges(self):
        while self._told != self._noted:
            at = 2 * (self._told % _EDGES)
            what = self._edges[at + 1]
            text = "\x1d!e%d,%d,%d\x1e" % (what >> 1, self._edges[at] & _MASK, what & 1)
            self._told += 1
            sys.stdout.write(text)

    def _take(self, question):
        text = bytes(question)
        if len(text) < 4 or b"%02x" % (sum(text[3:]) & 0xFF) != text[1:3]:
            return  # a part of it went to the mounted folder; it comes again
        number = chr(text[0])
        if number != self._number:
            self._number = number
            try:
                self._answer = self._do(chr(text[3]), text[4:].decode())
            except Exception as error:
                self._answer = "?%s: %s" % (type(error).__name__, error)
        self._tell_edges()  # those before the answer come before it
        sys.stdout.write("\x1d" + number + self._answer + "\x1e")

    def _do(self, kind, text):
        if kind == "t":
            return str(time.ticks_us() & _MASK)
        if kind == "v":
            return str(Pin(int(text)).value())
        if kind == "w":
            return self._watch(int(text))
        if kind == "p":
            self._plan, self._pin = [], int(text)
            way = self._way(self._pin)
            return "none" if way is None else way.prepare(self._pin)
        if kind == "+":
            digits = 0
            for letter in text:
                if letter.isdigit():
                    digits = 10 * digits + int(letter)
                else:
                    self._plan.append((digits, _LETTERS.index(letter)))
                    digits = 0
            return ""
        if kind == "g":
            return self._go()
        return "?no such question"

    def _watch(self, number):
        if number in self._watched:
            return "yes"
        if self._chip is None:
            return "unknown"
        if self._chip.listens(number):
            return "taken"
        edges = self._edges

        def note(pin):
            if self._noted - self._told < _EDGES:
                at = 2 * (self._noted % _EDGES)
                edges[at] = time.ticks_us()
                edges[at + 1] = number << 1 | pin.value()
                self._noted += 1

        pin = Pin(number)
        pin.irq(note, Pin.IRQ_RISING | Pin.IRQ_FALLING, hard=True)
        self._watched[number] = pin
        return "yes"

    def _go(self):
        now = time.ticks_us()
        coming = []
        due = now
        for delta, level in self._plan:
            due = time.ticks_add(due, delta)
            coming.append((due, self._pin << 3 | level))
        self._plan = []
        state = disable_irq()
        for number in range(self._next, len(self._due)):
            coming.append((self._due[number], self._moves[number]))
        coming.sort(key=lambda each: time.ticks_diff(each[0], now))
        self._due = [each[0] for each in coming]
        self._moves = [each[1] for each in coming]
        self._next = 0
        self._arm()
        enable_irq(state)
        return str(len(coming))

    def _arm(self):
        if self._next < len(self._due):
            us = time.ticks_diff(self._due[self._next], time.ticks_us())
            if us < 50:
                us = 50
            if self._hard:
                self._mover.init(
                    mode=Timer.ONE_SHOT, period=us, tick_hz=_HZ, callback=self._on_due, hard=True
                )
            else:
                self._mover.init(
                    mode=Timer.ONE_SHOT, period=us, tick_hz=_HZ, callback=self._on_due
                )

    def _move(self, timer):
        # In a hard handler on rp2: it makes no object.
        while self._next < len(self._due):
            if time.ticks_diff(self._due[self._next], time.ticks_us()) > 0:
                break
            move = self._moves[self._next]
            self._next += 1
            if move & 7 <= _TOGGLED:
                self._way(move >> 3).put(move >> 3, move & 7)
        self._arm()


def _tell_first_wait(say):
    from asyncio import core

    wait = core.IOQueue.wait_io_event

    def first(self, dt):
        if dt:
            core.IOQueue.wait_io_event = wait
            say("waits")
        wait(self, dt)

    core.IOQueue.wait_io_event = first


def _run(name, source):
    if source:  # it may ask whether it is the main program
        with open(source) as file:
            exec(compile(file.read(), source, "exec"), {"__name__": "__main__"})
    else:
        __import__(name)


def run(remote, wires, name, source, tasks):
    """Run the firmware `name`, and stay until Ctrl-C.

    `remote`: mpremote's RemoteCommand. `wires`: {a pin: the one that is wired to it}. `source`:
    its file if that is to be run as `__main__`, else "". `tasks`: whether it uses asyncio.
    """
    helper = _Helper(remote, wires)
    helper.say("up")
    text = ""
    try:
        if tasks:
            _tell_first_wait(helper.say)
        try:
            _run(name, source)
        except SystemExit:
            pass
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            import io

            out = io.StringIO()
            sys.print_exception(error, out)
            text = out.getvalue()
        helper.say("ended" + text)
        while True:
            time.sleep_ms(100)
    finally:
        helper.stop()
