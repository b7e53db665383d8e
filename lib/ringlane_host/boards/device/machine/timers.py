"""Timers. One that is late makes up for it: no tick is lost."""

from .interrupts import Source, add_clock, disable_irq, enable_irq, forget, now

_NEVER = 1 << 29
_numbered = {}


class _Alarm(Source):
    due = None
    period = 0

    def tick(self, here):
        if self.due is None:
            return _NEVER
        left = self.due - here
        if left > 0:
            return left
        self.due = self.due + self.period if self.period else None
        self.interrupt()
        return 0

    def call(self):
        super().call()
        if self.due is None:
            forget(self)

    def begin(self, due, period):
        state = disable_irq()
        self.due = due if due is None else now() + due
        self.period = period
        self._raised = False
        enable_irq(state)


class Timer:
    """machine.Timer: virtual ones by the id -1, and numbered ones."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **keywords):
        if not isinstance(id, int) or not -1 <= id < 4:
            raise ValueError("Timer(%r) doesn't exist: -1, or 0 to 3" % (id,))
        self._alarm = _Alarm(self)
        if id >= 0:
            # There is one of each number, however often it is made.
            self._alarm = _numbered.setdefault(id, self._alarm)
        if keywords:
            self.init(**keywords)

    def init(self, mode=PERIODIC, period=-1, callback=None, freq=None, tick_hz=1000, hard=False):
        """As machine.Timer.init."""
        if freq is not None:
            if not freq > 0:
                raise ValueError("freq must be above 0, not %r" % (freq,))
            us = int(1000000 / freq)
        else:
            if not isinstance(period, int) or period < 0:
                raise ValueError("period must be 0 or more, not %r" % (period,))
            us = period * 1000000 // tick_hz
        us = max(1, us)
        alarm = self._alarm
        alarm.begin(None, 0)
        alarm._argument = self
        alarm.listen(callback, hard)
        alarm.begin(us, us if mode == Timer.PERIODIC else 0)
        add_clock(alarm)

    def deinit(self):
        """As machine.Timer.deinit: no call comes after this."""
        self._alarm.begin(None, 0)
        forget(self._alarm)
