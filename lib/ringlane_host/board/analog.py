"""ADC and PWM."""

from ..boards.wires import readings
from .faults import BoardError, NotSimulated

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

TEMPERATURE = "temperature"


class Signal:
    """What is wired to an ADC: `read(us)` is its reading of 16 bits."""

    def __init__(self, kernel, title):
        self._kernel = kernel
        self._title = title
        self._read = None

    def set(self, value):
        """Wire a level, 0 to 65535, or a function of the time in microseconds."""
        if callable(value):
            self._read = value
        else:
            value = _checked(value)
            self._read = lambda us: value

    def play(self, samples, hz, repeat=False):
        """Play `samples`, 0 to 65535 each, `hz` a second, from now on; a sequence, or a file.

        After the last one it stays, or begins again with `repeat`. A file has a reading a line,
        or, where its name ends in .u16le, two bytes for each, the low one first.
        """
        samples = readings(samples, hz, self._title)
        start = self._kernel.now
        last = len(samples) - 1

        def read(us):
            at = int((us - start) * hz // 1_000_000)
            return samples[at % (last + 1) if repeat else min(at, last)]

        self._read = read

    def read(self):
        """Return the reading now."""
        if self._read is None:
            raise NotSimulated(
                f"nothing is wired to {self._title}: set(level) or play(samples, hz) in the test"
            )
        return self._read(self._kernel.now)


def _checked(value):
    if not 0 <= value <= 65535:
        raise BoardError(f"a reading is 0 to 65535, not {value!r}")
    return int(value)


def make_adc(kernel, facts, signals, pin_class):
    """Return the board's class ADC; `signals(key)` gives the Signal of a GPIO or TEMPERATURE."""
    rp2 = facts.port == "rp2"
    first = min(facts.adc, default=0)

    def key_of(id):
        if isinstance(id, pin_class):
            id = id._state.number
        elif rp2 and isinstance(id, int) and 0 <= id <= len(facts.adc):
            return TEMPERATURE if id == len(facts.adc) else first + id
        if id not in facts.adc:
            raise ValueError("Pin doesn't have ADC capabilities" if rp2 else "invalid pin")
        return id

    class ADC:
        """machine.ADC."""

        def __init__(self, id, *, atten=None):
            if atten is not None and rp2:
                raise TypeError("unexpected keyword argument 'atten'")
            self._signal = signals(key_of(id))

        def read_u16(self):
            kernel.work(5)
            return self._signal.read()

        if not rp2:
            ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3
            WIDTH_9BIT, WIDTH_10BIT, WIDTH_11BIT, WIDTH_12BIT = 9, 10, 11, 12

            def read(self):
                return self.read_u16() >> 4

            def read_uv(self):
                return self.read_u16() * 3_300_000 // 65535

            def atten(self, atten):
                pass

            def width(self, bits):
                pass

    if rp2:
        ADC.CORE_TEMP = len(facts.adc)
    return ADC


def make_pwm(kernel, pin_class, outputs):
    """Return the board's class PWM; `outputs[gpio]` gets (microseconds, Hz, duty of 65535)."""

    class PWM:
        """machine.PWM: what it was set to is recorded, the pin itself does not move."""

        def __init__(self, dest, *, freq=None, duty_u16=None, duty_ns=None, duty=None, invert=0):
            if not isinstance(dest, pin_class):
                dest = pin_class(dest)
            self._number = dest._state.number
            self._freq, self._duty = freq or 0, 0
            self.init(freq=freq, duty_u16=duty_u16, duty_ns=duty_ns, duty=duty)

        def init(self, *, freq=None, duty_u16=None, duty_ns=None, duty=None, invert=0):
            if invert:
                raise NotSimulated("PWM(invert=...) is not simulated")
            if freq is not None:
                self._freq = freq
            if duty_u16 is not None:
                self._duty = duty_u16
            if duty is not None:
                self._duty = duty * 65535 // 1023
            if duty_ns is not None:
                self._duty = min(65535, duty_ns * self._freq * 65535 // 1_000_000_000)
            self._record()

        def _record(self):
            kernel.work(5)
            outputs.setdefault(self._number, []).append((kernel.now, self._freq, self._duty))

        def freq(self, *freq):
            if not freq:
                return self._freq
            self.init(freq=freq[0])

        def duty_u16(self, *duty):
            if not duty:
                return self._duty
            self.init(duty_u16=duty[0])

        def duty_ns(self, *duty):
            if not duty:
                return self._duty * 1_000_000_000 // (65535 * self._freq) if self._freq else 0
            self.init(duty_ns=duty[0])

        def duty(self, *duty):
            if not duty:
                return self._duty * 1023 // 65535
            self.init(duty=duty[0])

        def deinit(self):
            self._freq = self._duty = 0
            self._record()

    return PWM


__all__ = ["TEMPERATURE", "Signal", "make_adc", "make_pwm"]
