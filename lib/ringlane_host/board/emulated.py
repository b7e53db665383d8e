"""The same test on an emulated Pico: real MicroPython, with the test at the chip's pins.

    board = EmulatedBoard("RPI_PICO.uf2", refuse)
    board.run("main.py")
    board.pin(2).press(ms=30)
    board.advance(ms=50)

It has of SimulatedBoard what can be seen from outside the chip: pins, ADCs, what is printed, and
the time, which is the chip's. The rest it refuses: `refuse(reason)` is called, which raises. What
differs: run() returns at asyncio's first wait, or after _SETUP_MS of the chip's time, and time
begins there; the code takes as long as on the chip; no faults are looked for.
"""

import threading
from types import SimpleNamespace
from typing import Any

from rp2040py.gpio_pin import GPIOPinState

from ..boards.emulated import EmulatedPico, compiled
from ..boards.wires import PRESSED, TOGGLED, PinStimulus, readings
from .analog import TEMPERATURE
from .faults import BoardError
from .firmware import ringlane_folder
from .outside import OutsideBoard, along

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_HOST_PATIENCE_S = 300.0
_SETUP_MS = 1000
_PERIPHERAL_HZ = 48_000_000  # of its UARTs: MicroPython 1.28 divides it by 312.5 for 9600 baud
_RX_TIMEOUT = 1 << 6  # of the UART's interrupt status: RP2040 datasheet 4.2.8
_MAIN = "firmware_"  # main.py itself would run before the host has connected
_WAITS = b"\x1d"  # printed at asyncio's first wait
_BEGIN = b"""\
from asyncio import core
wait = core.IOQueue.wait_io_event
def first(self, dt):
    if dt:
        core.IOQueue.wait_io_event = wait
        print("\x1d", end="")
    wait(self, dt)
core.IOQueue.wait_io_event = first
"""
_RAW = b"raw REPL; CTRL-B to exit\r\n>"


class EmulatedBoard(OutsideBoard):
    """EmulatedBoard(uf2, refuse, *folders): a Pico with that firmware file."""

    def __init__(self, uf2, refuse, *folders):
        super().__init__("rpi_pico, emulated", "an emulated Pico", refuse, folders)
        self._uf2 = uf2
        self._pico: Any = None
        self._output = bytearray()
        self._origin = 0.0  # nanoseconds of the chip's clock when run() returned
        self._reset = False
        self._pins = {}
        self._uarts = {}
        self._adc = [0] * 5
        self._alarms = []  # kept while they are scheduled

    # Running

    def run(self, path="main.py"):
        """Load a file as the main program, with ringlane and what lies beside it."""
        if self._pico is not None:
            raise BoardError("this board runs already: one run() a board")
        file = self._find(path)
        held = compiled(ringlane_folder())
        for path, source in along(file).items():
            if source.suffix == ".py":
                held[path[:-3] + ".mpy"] = compiled(source)[source.stem + ".mpy"]
            else:
                held[path] = source.read_bytes()
        if b"__name__" in file.read_bytes():  # it may ask whether it is the main program
            held[_MAIN + ".py"] = file.read_bytes()
            begin = b"exec(open('%s.py').read(), {'__name__': '__main__'})"
        else:
            held[_MAIN + ".mpy"] = compiled(file)[file.stem + ".mpy"]
            begin = b"import %s"
        self._pico = EmulatedPico(self._uf2, held)
        self._device = device = self._pico._device
        self._simulator = device.simulator
        self._clock = device.simulator.clock
        self._mcu = device.mcu
        self._mcu.adc.channel_values[:] = self._adc
        watchdog = self._mcu.watchdog
        watchdog.on_watchdog_trigger = self._on_reset(watchdog.on_watchdog_trigger)
        self._pico.call(lambda: setattr(device.cdc, "on_serial_data", self._output.extend))
        self._type(b"\r\x03\x01")
        self._run_until(lambda: _RAW in self._output, 2000, "no raw REPL")
        self._output.clear()
        for uart in self._mcu.uart:
            _mend(uart)
        self._pico.loop_back(*range(len(self._mcu.gpio)))
        self._type(_BEGIN + begin % _MAIN.encode() + b"\x04")
        self._run_until(lambda: self._output.startswith(b"OK"), 2000, "no answer")
        for _ in range(_SETUP_MS):
            self._run_ns(1_000_000)
            if _WAITS in self._output or b"\x04" in self._output or self._reset:
                break
        self._output[:] = self._output.replace(_WAITS, b"")
        self._origin = self._clock.nanos
        self._check()

    def _on_reset(self, trigger):
        def reset(*args):
            self._reset = True
            return trigger(*args)

        return reset

    def advance(self, ms=0, us=0):
        """Let so much of the chip's time pass. Raises BoardError with what the firmware raised."""
        self._run_ns(ms * 1_000_000 + us * 1000)
        self._check()

    def run_until(self, condition, ms=1000):
        """Let time pass until `condition()` is true: asked each millisecond."""
        if not condition():
            self._run_until(condition, ms, f"not met in {ms} ms")
        self._check()
        return True

    def _run_until(self, condition, ms, text):
        for _ in range(int(ms)):
            self._run_ns(1_000_000)
            self._check()
            if condition():
                return
        raise BoardError(f"{text}: {bytes(self._output)!r}")

    def _run_ns(self, ns):
        done = threading.Event()

        def ring():
            self._simulator.stop()
            done.set()

        self._pico.call(lambda: self._alarm(ns, ring))
        self._simulator.start_execution()
        if not done.wait(_HOST_PATIENCE_S):
            self._simulator.stop()
            raise TimeoutError(f"{ns / 1e6} ms of the chip took over {_HOST_PATIENCE_S} s")

    def _alarm(self, ns, action):
        now = self._clock.nanos
        self._alarms = [each for each in self._alarms if each[0] >= now]
        alarm = self._clock.create_alarm(action)
        alarm.schedule(ns)
        self._alarms.append((now + ns, alarm))

    def _after(self, us, action):
        if self._pico is None:
            self._refuse("an emulated Pico has its stimulus after run()")
        if us:
            self._pico.call(lambda: self._alarm(us * 1000, action))
        else:
            self._pico.call(action)

    def _type(self, data):
        def send():
            for byte in data:
                self._device.cdc.send_serial_byte(byte)

        self._pico.call(send)

    def _check(self):
        if self._reset:
            raise BoardError(f"{self._called} was reset")
        error, whole, _ = bytes(self._output).partition(b"\x04")[2].partition(b"\x04")
        if whole and error.strip():
            raise BoardError(error.decode(errors="replace").replace("\r\n", "\n"))

    def stop(self):
        """Power it off."""
        self.close()

    def close(self):
        """Power it off."""
        if self._pico is not None:
            self._pico.__exit__()
            self._pico = None

    @property
    def ended(self):
        """Whether the main program has ended; handlers go on."""
        return b"\x04" in self._output

    @property
    def us(self):
        """Microseconds since run() returned."""
        return round((self._clock.nanos - self._origin) / 1000) if self._pico else 0

    @property
    def log(self):
        """What the firmware printed, as one text."""
        text = bytes(self._output).removeprefix(b"OK").partition(b"\x04")[0]
        return text.decode(errors="replace").replace("\r\n", "\n")

    def timeline(self, last=60):
        """Return the pins' changes, a line each."""
        changes = sorted(
            (us, number, level) for number, pin in self._pins.items() for us, level in pin.history
        )
        return "\n".join(
            f"{us / 1000:12.3f}  GP{n} -> {level}" for us, n, level in changes[-last:]
        )

    # Its pins

    def pin(self, number):
        """As SimulatedBoard.pin."""
        number = self._number(number)
        if self._pico is None:
            self._refuse("an emulated Pico has pins after run()")
        if number not in self._pins:
            self._pins[number] = _Pin(self, self._mcu.gpio[number])
        return self._pins[number]

    def adc(self, pin):
        """As SimulatedBoard.adc: set() of a level, and after run() play(), once."""
        if pin == TEMPERATURE:
            self._refuse("an emulated Pico's temperature is its emulator's")
        self._one_of("ADC at pin", pin, self._has.adc)
        channel = pin - self._facts.peripherals.adc[0]

        def put(value):
            if callable(value):
                self._refuse("an emulated Pico's ADC takes levels and recordings, not functions")
            self._adc[channel] = value >> 4
            if self._pico is not None:
                self._mcu.adc.channel_values[channel] = value >> 4

        def play(samples, hz, repeat=False):
            if repeat:
                self._refuse("an emulated Pico's ADC plays a recording once")
            for number, value in enumerate(readings(samples, hz, f"ADC {pin}")):
                self._after(number * 1_000_000 // hz, lambda value=value: put(value))

        return SimpleNamespace(set=put, play=play)

    def uart(self, number):
        """As SimulatedBoard.uart, after run(); without `lost`."""
        self._one_of("UART", number, range(self._has.uarts))
        if self._pico is None:
            self._refuse("an emulated Pico has UARTs after run()")
        if number not in self._uarts:
            self._uarts[number] = _Uart(self, self._mcu.uart[number])
        return self._uarts[number]


class _Pin(PinStimulus):
    """A pin of the chip, as PinHandle."""

    def __init__(self, board, gpio):
        self._board = board
        self._gpio = gpio
        self.history: list[tuple[int, int]] = []

        def listen(state, before):
            if state in (GPIOPinState.LOW, GPIOPinState.HIGH):
                self.history.append((board.us, int(state == GPIOPinState.HIGH)))

        board._pico.call(lambda: gpio.add_listener(listen))

    def value(self):
        """Return the level."""
        state = self._gpio.value
        if state in (GPIOPinState.LOW, GPIOPinState.HIGH):
            return int(state == GPIOPinState.HIGH)
        return int(self._gpio.input_value)

    def _plan(self, changes):
        for after_us, level in changes:
            self._board._after(after_us, lambda level=level: self._put(level))

    def _put(self, level):
        pull = 0 if self._gpio.value == GPIOPinState.INPUT_PULL_DOWN else 1
        if level == TOGGLED:
            level = 1 - self.value()
        elif level == PRESSED:
            level = 1 - pull
        self._gpio.set_input_value(bool(pull if level is None else level))


def _mend(uart):
    # In the emulator a UART's transmit interrupt never ends; as all that is written goes at once,
    # MicroPython needs none.
    def check_interrupts():
        uart.rp2040.set_interrupt(uart.irq, bool(uart._interrupt_status & uart._interrupt_mask))

    uart.check_interrupts = check_interrupts


class _Uart:
    """A UART of the chip, as UartHandle."""

    def __init__(self, board, uart):
        self._board = board
        self._uart = uart
        self._free = 0  # when the last byte will have come
        self._sent = bytearray()
        board._pico.call(lambda: setattr(uart, "on_byte", self._sent.append))

    def receive(self, data, gap_us=0, after_us=0):
        """As UartHandle.receive, with 10 bits a byte."""
        if not isinstance(data, (bytes, bytearray)):
            raise BoardError(f"a UART receives bytes, not {data!r}")
        bit = 16_000_000 * self._uart.baud_divider / _PERIPHERAL_HZ
        start = max(self._free, self._board.us + after_us) - self._board.us
        for number, byte in enumerate(data, 1):
            at = round(start + number * (10 * bit + gap_us))
            self._board._after(at, lambda byte=byte: self._uart.feed_byte(byte))
            self._free = self._board.us + at
        if data:
            self._board._after(round(at + 32 * bit), self._idle)

    def _idle(self):
        # The receive time-out, if nothing has come since and nothing is about to.
        if self._board.us >= self._free:
            self._uart._interrupt_status |= _RX_TIMEOUT
            self._uart.check_interrupts()

    @property
    def lost(self):
        """Refuse."""
        self._board._refuse("an emulated Pico does not tell which bytes its UART has lost")

    @property
    def sent(self):
        """As UartHandle.sent."""
        return bytes(self._sent)

    def take(self):
        """As UartHandle.take."""
        part = bytes(self._sent)
        self._sent.clear()
        return part


__all__ = ["EmulatedBoard"]
