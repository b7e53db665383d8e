"""ADC and PWM."""

from . import wires
from .interrupts import disable_irq, enable_irq, now
from .pins import wire

_CHANNELS = 5  # ADC(0) to ADC(4) of an rp2: GPIO 26 to 29, and the temperature
_FIRST = 26
_signals = {}


class Signal:
    """What is attached to an ADC; 0 until something is."""

    def __init__(self):
        self._samples = (0,)
        self._hz = 1
        self._repeat = False
        self._start = 0

    def play(self, samples, hz, repeat):
        """Play `samples` of 16 bits, `hz` a second, from now on; the last one stays."""
        state = disable_irq()
        self._samples, self._hz, self._repeat, self._start = samples, hz, repeat, now()
        enable_irq(state)

    def read(self):
        """Return the reading now."""
        count = len(self._samples)
        if count == 1:
            return self._samples[0]
        state = disable_irq()
        us = now() - self._start
        enable_irq(state)
        # In two steps, so that small ints are enough on 32 bits, too.
        at = (us // 1000 * self._hz + us % 1000 * self._hz // 1000) // 1000
        if self._repeat:
            return self._samples[at % count]
        return self._samples[at if at < count else count - 1]


def signal(key):
    """Return what is attached to an ADC by its GPIO, or to the "temperature"."""
    if key not in _signals:
        _signals[key] = Signal()
    return _signals[key]


class ADC:
    """machine.ADC, by a pin or by an rp2's channel."""

    CORE_TEMP = 4
    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = range(4)

    def __init__(self, id, atten=None):
        if isinstance(id, int) and 0 <= id < _CHANNELS:
            key = "temperature" if id == ADC.CORE_TEMP else _FIRST + id
        else:
            key = wire(id).number
        self._signal = signal(key)

    def read_u16(self):
        """As machine.ADC.read_u16."""
        return self._signal.read()

    def read(self):
        """As an ESP32's: 12 bits."""
        return self._signal.read() >> 4

    def atten(self, atten):
        """As an ESP32's. What is attached is read as it is."""

    def read_uv(self):
        """As machine.ADC.read_uv."""
        return self._signal.read() * 3300000 // 65535


class PWM:
    """machine.PWM: what it is set to is seen at the wires; the pin itself does not move."""

    def __init__(self, dest, freq=None, duty_u16=None, duty_ns=None):
        self._wire = wire(dest)
        self._freq = self._duty = 0
        self.init(freq, duty_u16, duty_ns)

    def init(self, freq=None, duty_u16=None, duty_ns=None):
        """As machine.PWM.init."""
        if freq is not None:
            if not freq > 0:
                raise ValueError("freq must be above 0, not %r" % (freq,))
            self._freq = freq
        if duty_u16 is not None:
            self._duty = min(max(duty_u16, 0), 65535)
        if duty_ns is not None:
            self._duty = min(65535, duty_ns * self._freq * 65535 // 1000000000)
        wires.set_pwm(self._wire.number, int(self._freq), self._duty)

    def deinit(self):
        """As machine.PWM.deinit."""
        self.init(duty_u16=0)

    def freq(self, freq=None):
        """As machine.PWM.freq."""
        if freq is None:
            return self._freq
        self.init(freq=freq)

    def duty_u16(self, duty=None):
        """As machine.PWM.duty_u16."""
        if duty is None:
            return self._duty
        self.init(duty_u16=duty)

    def duty_ns(self, duty=None):
        """As machine.PWM.duty_ns."""
        if duty is None:
            return self._duty * 1000000000 // (65535 * self._freq) if self._freq else 0
        self.init(duty_ns=duty)
