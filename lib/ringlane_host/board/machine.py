"""The module `machine` of a simulated board, put together."""

import types

from .. import simulate
from . import analog, buses, pins, pio, timers, uart
from .faults import BoardReset, NotSimulated

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_PWRON, _WDT = 1, 3
_LATER = (
    "ADCBlock CAN Counter DAC Encoder I2CTarget I2S PCNT SDCard TouchPad USBDevice bitstream "
    "bootloader dht_readinto time_pulse_us DEEPSLEEP DEEPSLEEP_RESET HARD_RESET SOFT_RESET "
    "wake_reason PIN_WAKE EXT0_WAKE mem_backup"
).split()


class _Memory:
    # machine.mem8, mem16, mem32
    def __init__(self, pointer, mask):
        self._pointer = pointer
        self._mask = mask

    def __getitem__(self, address):
        return self._pointer(address)[0] & self._mask

    def __setitem__(self, address, value):
        self._pointer(address)[0] = value


def make(board, kernel, facts):
    """Return `machine`; `board` keeps the wires: pins, signals and so on."""
    module = types.ModuleType("machine", "MicroPython's machine, of a simulated board.")
    rp2 = facts.port == "rp2"
    Pin = pins.make(kernel, facts, board.pin_state)
    I2C, SPI = buses.make(kernel, facts, board.i2c, board.spi)

    def reset():
        kernel.fault(BoardReset, "machine.reset()")
        board.end_firmware()

    def soft_reset():
        kernel.fault(BoardReset, "machine.soft_reset()")
        board.end_firmware()

    class WDT:
        """machine.WDT: it bites."""

        def __init__(self, id=0, timeout=5000):
            if id != 0:
                raise ValueError("WDT(%d) doesn't exist" % id)
            longest = {"RP2040": 8388, "RP2350": 16777}.get(facts.mcu)
            if longest and timeout > longest:
                raise ValueError("timeout exceeds %d" % longest)
            self._timeout = timeout
            self._event = None
            self.feed()

        def feed(self):
            kernel.cancel(self._event)
            self._event = kernel.at(kernel.now + self._timeout * 1000, self._bite)

        def _bite(self):
            kernel.fault(BoardReset, f"the watchdog: not fed for {self._timeout} ms")
            board.end_firmware()

    class RTC:
        """machine.RTC."""

        def datetime(self, *when):
            if when:
                import calendar

                year, month, day, _, hour, minute, second = when[0][:7]
                seconds = calendar.timegm((year, month, day, hour, minute, second))
                kernel.rtc_offset += seconds - board.modules["time"].time()
                return None
            t = board.modules["time"].localtime()
            return (*t[:3], t[6], *t[3:6], 0)

    class Signal:
        """machine.Signal."""

        def __init__(self, pin, *args, invert=False, **keywords):
            self._pin = pin if isinstance(pin, Pin) else Pin(pin, *args, **keywords)
            self._invert = bool(invert)

        def value(self, *value):
            if not value:
                return self._pin.value() ^ self._invert
            self._pin.value(bool(value[0]) ^ self._invert)

        __call__ = value

        def on(self):
            self.value(1)

        def off(self):
            self.value(0)

    speed = [125_000_000 if facts.mcu == "RP2040" else 150_000_000 if rp2 else 160_000_000]

    def freq(*hz):
        if not hz:
            return speed[0]
        speed[0] = hz[0]

    def lightsleep(ms=None):
        kernel.wait(1 << 62 if ms is None else kernel.now + 1000 * ms, polling=ms is None)

    def deepsleep(ms=None):
        if ms is not None:
            kernel.wait(kernel.now + 1000 * ms)
        reset()

    def disable_irq():
        state = kernel.mask()
        return 0 if facts.port == "esp32" else int(state)

    def enable_irq(state):
        kernel.unmask(state)
        kernel.stirred += 1  # giving back the other core's mutex ends in an event

    for name, value in (
        ("Pin", Pin),
        ("Signal", Signal),
        ("Timer", timers.make(kernel, facts)),
        ("ADC", analog.make_adc(kernel, facts, board.signal, Pin)),
        ("PWM", analog.make_pwm(kernel, Pin, board.pwm_outputs)),
        ("UART", uart.make(kernel, facts, board.uart_state, Pin)),
        ("I2C", I2C),
        ("SoftI2C", I2C),
        ("SPI", SPI),
        ("SoftSPI", SPI),
        ("WDT", WDT),
        ("RTC", RTC),
        ("mem8", _Memory(simulate.ptr8, 0xFF)),
        ("mem16", _Memory(simulate.ptr16, 0xFFFF)),
        ("mem32", _Memory(simulate.ptr32, 0xFFFFFFFF)),
        ("reset", reset),
        ("soft_reset", soft_reset),
        ("reset_cause", lambda: _PWRON),
        ("PWRON_RESET", _PWRON),
        ("WDT_RESET", _WDT),
        ("freq", freq),
        ("unique_id", lambda: b"ringlane"),
        ("idle", lambda: kernel.wait(kernel.now + 1000, polling=True)),
        ("lightsleep", lightsleep),
        ("deepsleep", deepsleep),
        ("disable_irq", disable_irq),
        ("enable_irq", enable_irq),
    ):
        setattr(module, name, value)

    def __getattr__(name):
        if name in _LATER:
            raise NotSimulated(f"machine.{name} is not simulated")
        raise AttributeError(f"module 'machine' has no attribute '{name}'")

    module.__getattr__ = __getattr__
    return module


def make_neopixel(board, kernel):
    """Return `neopixel`."""
    module = types.ModuleType("neopixel", "MicroPython's neopixel; the test sees what it shows.")

    class NeoPixel:
        """neopixel.NeoPixel."""

        ORDER = (1, 0, 2, 3)

        def __init__(self, pin, n, bpp=3, timing=1):
            self.pin, self.n, self.bpp = pin, n, bpp
            self._colours = [(0,) * bpp] * n
            pin.init(pin.OUT)

        def __len__(self):
            return self.n

        def __getitem__(self, i):
            return self._colours[i]

        def __setitem__(self, i, v):
            self._colours[i] = tuple(v[: self.bpp])

        def fill(self, v):
            self._colours = [tuple(v[: self.bpp])] * self.n

        def write(self):
            # 1.25 us a bit, with interrupts masked.
            state = kernel.mask()
            kernel.wait(kernel.now + self.n * self.bpp * 10, soft=False)
            kernel.unmask(state)
            board.neopixel_states.setdefault(self.pin._state.number, []).append(
                (kernel.now, list(self._colours))
            )

    module.NeoPixel = NeoPixel
    return module


def make_port_module(board, kernel, facts):
    """Return (name, module) of the port's own module: rp2 or esp32."""
    module = types.ModuleType(facts.port, "What this port alone has.")
    if facts.port == "rp2":
        module.bootsel_button = lambda: int(board.bootsel)
        vars(module).update(pio.make(kernel, board.programs))

    def __getattr__(name):
        if name[:2] == "__":
            raise AttributeError(name)
        raise NotSimulated(f"{facts.port}.{name} is not simulated")

    module.__getattr__ = __getattr__
    return facts.port, module


__all__ = ["make", "make_neopixel", "make_port_module"]
