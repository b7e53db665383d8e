"""A simulated board: firmware as it is, in virtual time, with a test at its pins.

    board = SimulatedBoard("rpi_pico")
    board.run("main.py")
    board.pin(2).press(ms=30)
    board.advance(ms=50)
    assert board.channels["buttons"].words == [1]
    board.stop()

With pytest it is the fixture `board`, of plugin.py. ../README.md is the guide.
The rooms: kernel.py has the time and who runs when; firmware.py loads the firmware; loop.py is
asyncio, modules.py the other modules, machine.py and pins.py, timers.py, analog.py, uart.py,
buses.py and pio.py what hangs on the chip; channels.py records messages, results.py what their
receivers handed out; faults.py names what can go wrong.
"""

import inspect
import types
from collections import deque
from pathlib import Path

from .. import boards, simulate
from . import (
    faults,
    loop,
    machine,
    modules,
    pictures,
    pins,
    pio,
    replay,
    sources,
    sweeping,
    timers,
    uart,
)
from .analog import TEMPERATURE, Signal
from .buses import Bus, Registers
from .channels import ChannelRecord, Channels, Message
from .faults import *  # noqa: F403
from .faults import BoardError, BoardReset, Fault, NobodyWakes, NotSimulated
from .firmware import Firmware, find
from .flash import Flash
from .kernel import NEVER, Kernel, Stopped

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_ICSR = 0xE000ED04  # of a Cortex-M; its low 9 bits are the interrupt that is handled
_TIMELINE = 4000  # entries kept
_LOOK_US = 10_000  # an ESP32's threads wake each other so late: its FREERTOS_HZ is 100
_TOLD = 60  # entries that timeline() returns unless told
_open = None  # the board that is there: one in a process at a time


class SimulatedBoard:
    """SimulatedBoard(name="rpi_pico", *folders): a board of boards/*.toml, or a Board.

    `folders`: where run() looks for files; the current one if left out. It begins at reset, at
    0 microseconds. Raises LookupError for an unknown name, NotSimulated for a board that has no
    [peripherals], BoardError while another one is open. Close it with stop().
    """

    def __init__(self, name="rpi_pico", *folders):
        self._make(name, folders)

    def _make(self, name, folders):
        global _open
        self._made_of = name, folders
        if _open is not None:
            raise BoardError(f"{_open.name} is still open: one board at a time, stop() it first")
        self._facts = _facts(name)
        self.name = self._facts.board
        self._folders = [Path(folder).resolve() for folder in folders or (".",)]
        self.bootsel = False
        self.pwm_outputs = {}
        self.neopixel_states = {}
        self.programs = None
        self.flash = Flash()
        self._log = []
        self._entries: deque[tuple[int, str, str, str]] = deque(maxlen=_TIMELINE)
        self._allowed = ()
        self._raised = None
        self._sleepers = []  # tasks that have been reported
        self._ended = False
        self._pins = {}
        self._signals = {}
        self._uarts = {}
        self._buses = {}
        self._kernel = kernel = Kernel(self._facts.scheduler, self._note)
        if self._facts.port == "rp2":
            self.programs = pio.Programs(kernel, self._facts.mcu.partition("-")[0], self._note)
        self.channels = Channels(kernel, self._note, self._facts.gil)
        clock = self._facts.clock
        if clock.register:
            kernel.register = simulate.memory.device(clock.register, 4)
        if self._facts.cpu_id:
            kernel.cpuid = simulate.memory.device(self._facts.cpu_id, 4)
        if self._facts.port == "rp2" and self._facts.arch.startswith("armv"):
            kernel.icsr = simulate.memory.device(_ICSR, 4)
        self.modules = self._make_modules()
        self._firmware = Firmware(
            kernel,
            self.modules,
            {"print": self._print, "open": self.flash.open, "input": _no_input},
        )
        self.modules["sys"].modules = self._firmware.modules
        _open = self

    def _make_modules(self):
        kernel, facts = self._kernel, self._facts
        made = modules.plain_modules()
        look_us = NEVER if facts.port == "rp2" else _LOOK_US
        made["time"] = time = modules.make_time(kernel)
        made["asyncio"], made["asyncio.core"], self._tasks = loop.make(
            kernel, time, self._say, look_us
        )
        made["uasyncio"] = made["asyncio"]
        made["micropython"] = modules.make_micropython(kernel, self.channels)
        made["sys"] = modules.make_sys(kernel, facts, made, self._say)
        made["collections"] = modules.make_collections()
        made["select"] = modules.make_select(kernel, look_us)
        made["_thread"] = modules.make_thread(kernel, facts)
        made["uctypes"] = modules.make_uctypes()
        made["random"] = modules.make_random()
        made["gc"] = modules.make_gc()
        made["os"] = modules.make_os(facts, self.flash)
        made["machine"] = machine.make(self, kernel, facts)
        made["neopixel"] = machine.make_neopixel(self, kernel)
        name, module = machine.make_port_module(self, kernel, facts)
        made[name] = module
        return made

    # Running

    def run(self, path="main.py"):
        """Load a file as the board does after reset: up to its first wait, or its end.

        No time passes. Files beside it can be imported, and those in its folder's lib/. Raises
        what the firmware raised.
        """
        self._check_open()
        file = find(self._folders, path)
        self._look_in(file.parent)
        self._begin(lambda: self._firmware.run(file), file.name)

    def start(self, what):
        """Start a coroutine or a function of the test as the main program, as run() does a file.

        It sees the test's own modules: import what it needs by `board.load(name)`.
        """
        self._check_open()
        if inspect.iscoroutine(what):
            self._begin(lambda: self.modules["asyncio"].run(what), what.__qualname__)
        elif callable(what):
            self._begin(what, getattr(what, "__qualname__", "main"))
        else:
            raise BoardError(f"start() takes a coroutine or a function, not {what!r}")

    def load(self, name):
        """Return a module as the firmware sees it: `board.load("machine").Pin`."""
        self._look_in(self._folders[0])
        return self._firmware.load(name)

    def _look_in(self, folder):
        if self.flash.folder is None:
            self.flash.folder = folder
            self._firmware.path = [folder, folder / "lib"]

    def _begin(self, function, name):
        if self._kernel.cores:
            raise BoardError("this board runs already: one run() or start() a board")
        self._kernel.start(function, name)
        self._proceed(self._kernel.now, setting_up=True)

    def advance(self, ms=0, us=0):
        """Let so much time pass. Raises what the firmware raised, and faults."""
        self._check_open()
        if ms < 0 or us < 0:
            raise BoardError(f"time goes forward, not by {ms} ms {us} us")
        self._proceed(self._kernel.now + round(ms * 1000) + us)

    def run_until(self, condition, ms=1000):
        """Let time pass until `condition()` is true; return its value's truth, True.

        It is asked each time the firmware waits and after each event. Raises BoardError if it is
        not met within `ms`, with what the tasks wait for.
        """
        self._check_open()
        if condition() or self._proceed(self._kernel.now + round(ms * 1000), condition):
            return True
        waiting = ", ".join(map(repr, self._tasks))
        raise BoardError(
            f"not met in {ms} ms"
            + (f"; tasks wait: {waiting}" if waiting else "")
            + ("" if self._kernel.can_be_woken else "; nothing more is due to happen")
            + f"\n{self.timeline()}"
        )

    def _proceed(self, until, condition=None, setting_up=False):
        met = self._kernel.run(until, condition, setting_up)
        self._find_sleepers()
        if self.ended:
            self.channels.ended()
        self._check()
        return met

    def _find_sleepers(self):
        for core in self._kernel.cores:
            if core.asleep is None or core.ended or core.in_soft:  # it looks after the handler
                continue
            for task in core.asleep():
                if task not in self._sleepers:
                    self._sleepers.append(task)
                    self._kernel.fault(
                        NobodyWakes,
                        f"{task!r} has something to receive, but its core sleeps: the sender is "
                        "on the other core, and calls notify() after its send",
                    )

    def _check(self):
        """Raise what the firmware raised, then the first fault that is not allowed."""
        cores = self._kernel.cores
        if cores and cores[0].error is not None and self._raised is None:
            error = self._raised = cores[0].error
            if not isinstance(error, SystemExit):
                self._note("raised", repr(error))
                raise error
        for fault in self._kernel.faults:
            if not getattr(fault, "told", False) and not isinstance(fault, self._allowed):
                fault.told = True
                cause = fault.__cause__
                raise cause if isinstance(cause, (NotSimulated, BoardError)) else fault

    def sweep(self, test, interrupt=None, **how):
        """Run `test(board)` once for each place at which `interrupt(board)` can land.

        Before each run the board is reset: `test` wires it, runs the firmware and asserts. Return
        a Swept. Raises ExplorationError where the test fails, with the place and what happened,
        and where nothing was interrupted. `how`: nested, cores, every, from_ms, until_ms and
        only, as of sweeping.Sweep; what a place is stands there, too.
        """
        self._check_open()
        if self.flash.folder is not None or any(
            (self._kernel.cores, self._kernel.events, self._pins, self._signals, self._uarts)
        ):
            raise BoardError("sweep() begins at reset: the test that it runs does all the rest")
        if not callable(test):
            raise BoardError(f"sweep() takes a function of the board, not {test!r}")
        return sweeping.sweep_board(self, self._reset, test, sweeping.Sweep(interrupt, **how))

    def _reset(self):
        self.close()
        self._make(*self._made_of)
        return self._kernel

    def attach(self, landing):
        """Let one run of a sweep watch this board, which has just been reset: for the plugin."""
        landing.attach(self, self._kernel)

    def interrupt(self, handler, *args, hard=True):
        """Call a function of the firmware as a hard handler does, or with hard=False a soft one.

        Now, or as soon as the board lets it: `board.interrupt(board.load("main").on_edge, pin)`.
        """
        if not callable(handler):
            raise BoardError(f"interrupt() takes a function, not {handler!r}")
        source = sources.Call(self._kernel, handler, args)
        if hard:
            self._kernel.interrupt(source)
        else:
            self._kernel.soft_interrupt(source, lambda _: source.call(), None)

    def timer(self, which):
        """Return a Timer that the firmware has made: by its handler's name, or by number, from 0.

        It has fire(), `running` and `period`. Raises BoardError if there is none.
        """
        made = self._kernel.timers
        if isinstance(which, int):
            found = made[which : which + 1] if which >= 0 else []
        else:
            found = [each for each in made if each.title.endswith(f"handler {which}")]
        if not found:
            there = ", ".join(each.title for each in made) or "none"
            raise BoardError(f"no timer {which!r}; there are {there}")
        return timers.TimerHandle(found[-1])

    def allow(self, *kinds):
        """Let faults of these kinds happen: they are in `faults` then, and raise nothing."""
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Fault)):
                raise BoardError(f"allow() takes kinds of Fault, not {kind!r}")
        self._allowed += kinds

    @property
    def faults(self):
        """The faults so far, allowed or not."""
        return list(self._kernel.faults)

    def stop(self):
        """End the firmware at its wait; raise what it raised, or a fault that nobody has seen.

        It must be called once; the fixture does it. Afterwards the board's records stay.
        """
        if not self._ended:
            self.close()
            self._check()

    def close(self):
        """End the firmware at its wait, and raise nothing of its."""
        global _open
        if self._ended:
            return
        self._ended = True
        if _open is self:
            _open = None
        self._kernel.stop()
        if self._kernel.landing is not None:
            self._kernel.landing.detach()
        for registers in (self._kernel.register, self._kernel.cpuid, self._kernel.icsr):
            if registers is not None:
                simulate.memory.unmap(registers)

    def end_firmware(self):
        """End the main program where it is, as a reset does; for the board's own parts."""
        self._kernel.stopping = True
        raise Stopped  # kernel.run takes it where the test's own thread has the board

    def _check_open(self):
        if self._ended:
            raise BoardError("this board is stopped")
        if any(isinstance(each, BoardReset) for each in self._kernel.faults):
            raise BoardError("this board was reset: what follows would need a new one")

    @property
    def ended(self):
        """Whether the main program has ended; handlers go on."""
        return self._kernel.main_ended

    # What is at its pins

    @property
    def us(self):
        """Microseconds since reset."""
        return self._kernel.now

    @property
    def ms(self):
        """Milliseconds since reset."""
        return self._kernel.now / 1000

    def pin_state(self, number):
        """Return a pin's own state; for the board's parts. A test uses pin()."""
        state = self._pins.get(number)
        if state is None:
            state = self._pins[number] = pins.PinState(self._kernel, number, self._note)
        return state

    def pin(self, number):
        """Return a GPIO: press(), drive(), edges(), value(), history. By number or name."""
        facts = self._facts
        if isinstance(number, str):
            if number not in facts.pins:
                raise BoardError(f"no pin {number!r}; there are {', '.join(facts.pins) or 'none'}")
            number = facts.pins[number]
        if not 0 <= number < facts.gpio:
            raise BoardError(f"{self.name} has GPIO 0 to {facts.gpio - 1}, no pin {number}")
        return pins.PinHandle(self._kernel, self.pin_state(number))

    def signal(self, key):
        """Return what is wired to an ADC; for the board's parts. A test uses adc()."""
        signal = self._signals.get(key)
        if signal is None:
            title = "the temperature sensor" if key == TEMPERATURE else f"ADC pin {key}"
            signal = self._signals[key] = Signal(self._kernel, title)
        return signal

    def adc(self, pin):
        """Return what is wired to an ADC's pin: set(), play(). "temperature": the chip's own."""
        if pin != TEMPERATURE and pin not in self._facts.adc:
            there = ", ".join(map(str, self._facts.adc))
            raise BoardError(f"{self.name} has ADCs at GPIO {there}, none at {pin!r}")
        return self.signal(pin)

    def uart_state(self, number):
        """Return a UART's own state; for the board's parts. A test uses uart()."""
        state = self._uarts.get(number)
        if state is None:
            port = self._facts.port
            state = self._uarts[number] = uart.UartState(self._kernel, number, port, self._note)
        return state

    def uart(self, number):
        """Return the other end of a UART: receive(), sent, take(), lost."""
        if not 0 <= number < self._facts.uarts:
            raise BoardError(f"{self.name} has {self._facts.uarts} UARTs, no UART {number}")
        return uart.UartHandle(self.uart_state(number))

    def i2c(self, number):
        """Return an I2C bus: attach(address, device)."""
        return self._bus("I2C", number, range(self._facts.i2cs))

    def spi(self, number):
        """Return an SPI bus: attach(device)."""
        first = 0 if self._facts.port == "rp2" else 1
        return self._bus("SPI", number, range(first, first + self._facts.spis))

    def _bus(self, kind, number, there):
        if number not in there:
            buses = ", ".join(f"{kind} {each}" for each in there)
            raise BoardError(f"{self.name} has {buses}, no {kind} {number}")
        return self._buses.setdefault((kind, number), Bus(f"{kind}({number})"))

    def replay(self, path, channel=None, after_ms=0):
        """Send what `ringlane record` has of a channel into the firmware's channel of that name.

        Each message at its own time from `after_ms` on, as a hard handler of its own would: so the
        firmware must not start what sends to it. `channel`: its name; None: the only one there.
        Returns how many messages that are. Raises LinkError for a recording that is none, or lacks
        some of them.
        """
        return replay.schedule(self, self._kernel, path, channel, after_ms)

    def remote(self):
        """Return the board as ringlane_host.remote() does: for a host's program under test.

            async with board.remote() as there:
                await there.channel("commands").asend(b"stop", timeout_ms=100)

        The firmware runs already, and has opened its channels. Time passes while the host waits,
        as in advance(), and what that raises the host gets; timeouts are of the board's time. It
        takes the package cobs.
        """
        from ..link import need

        need("cobs")
        from .remote import SimulatedRemote  # which needs what nothing else here does

        self._check_open()
        return SimulatedRemote(self, self._kernel)

    def pwm(self, pin):
        """Return what PWM made of a pin: a list of (microseconds, Hz, duty of 65535)."""
        return list(self.pwm_outputs.get(pin, ()))

    def neopixel(self, pin):
        """Return what a NeoPixel's write() sent to a pin: a list of (microseconds, colours)."""
        return list(self.neopixel_states.get(pin, ()))

    def state_machine(self, number):
        """Return a PIO state machine: attach(), receive(), interrupt(), sent, active.

        Its program is not run: what it does, the test does.
        """
        there = self.programs.machines if self.programs is not None else ()
        if number not in range(len(there)):
            raise BoardError(f"{self.name} has {len(there)} state machines, no {number!r}")
        return pio.MachineHandle(there[number])

    # What it did

    @property
    def log(self):
        """All that the firmware printed, as one text."""
        return "".join(self._log)

    def _print(self, *values, sep=" ", end="\n", file=None, **keywords):
        self._kernel.allocates("print()")
        text = (sep or " ").join(map(str, values)) + ("\n" if end is None else end)
        if file is None:
            self._say(text)
        else:
            file.write(text)

    def _say(self, text):
        self._log.append(text)
        if text.strip():
            self._note("print", text.rstrip())

    def _note(self, kind, text):
        kernel = self._kernel
        self._entries.append((kernel.now, kernel.who(), kind, text))

    def timeline(self, last=_TOLD):
        """Return the last entries of what happened, a line each: milliseconds, who, what."""
        entries = list(self._entries)[-last:] if last else []
        skipped = len(self._entries) - len(entries)
        lines = [f"  ... {skipped} entries before these"] if skipped else []
        for us, who, kind, text in entries:
            lines.append(f"{us / 1000:12.3f}  {who:24} {kind:6} {text}")
        return "\n".join(lines)

    @property
    def entries(self):
        """What timeline() shows, as (microseconds, who, kind, text); the last 4,000."""
        return list(self._entries)

    @property
    def handler_runs(self):
        """What handlers ran, as (from, to, name) in microseconds; the last 100,000."""
        return list(self._kernel.runs)

    def pin_histories(self):
        """Return {GPIO number: [(microseconds, level), ...]} of the pins in use."""
        return {number: list(state.history) for number, state in self._pins.items()}

    # Pictures

    def trace(self, path):
        """Write a trace to open at ui.perfetto.dev: handlers, tasks, messages, depths, pins."""
        pictures.trace(path, self)

    def waves(self, path):
        """Write pins and depths as .vcd, for GTKWave and PulseView, and a .gtkw beside it."""
        pictures.waves(path, self)

    def plot(self, path):
        """Draw latencies by class and depths over time, as .png, .svg or .pdf."""
        pictures.plot(path, self)

    def __repr__(self):
        return f"<{self.name}, simulated, at {self.ms:.3f} ms>"


def _no_input(*prompt):
    raise NotSimulated("input() is not simulated: nobody types at a simulated board")


def _facts(name):
    board = boards.load(name) if isinstance(name, str) else name
    parts = board.peripherals
    if parts is None:
        known = [each for each in boards.names() if boards.load(each).peripherals is not None]
        raise NotSimulated(
            f"{board.name}: its file says nothing of [peripherals]; simulated are "
            + ", ".join(known)
        )
    return types.SimpleNamespace(
        **{**vars(board), **vars(parts)},
        board=name if isinstance(name, str) else board.name,
        mpy=boards.ARCHES.index(board.arch) << 10 | 0x306,
    )


__all__ = [
    *faults.__all__,
    "ChannelRecord",
    "Message",
    "Registers",
    "SimulatedBoard",
]
