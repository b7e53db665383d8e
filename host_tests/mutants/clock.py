"""What the tests must find broken in clock.py."""

MUTANTS = {
    "Clock.__init__": {
        "a period of 1.0 is taken": ("not isinstance(period, int)\n            or ", ""),
        "a period of 1 is taken": ("2 <= period", "1 <= period"),
        "a period of 2 is refused": ("2 <= period", "2 < period"),
        "a period beyond 2**30 is taken": (" <= _TICKS_PERIOD", " <= 2 * _TICKS_PERIOD"),
        "a period of 2**30 is refused": ("period <= _TICKS_PERIOD", "period < _TICKS_PERIOD"),
        "a period that is no power of two is taken": ("or period & (period - 1)", ""),
        "a frequency of 1.5 is taken": ("not isinstance(hz, int) or ", ""),
        "a frequency of 0 is taken": ("hz <= 0", "hz < 0"),
        "ticks may be a number": ("if not callable(ticks):", "if 0:"),
    },
    "us": {
        "microseconds are rounded up": (
            "ticks * 1000000 // self.hz",
            "-(-ticks * 1000000 // self.hz)",
        ),
    },
    "diff": {
        "a difference has no sign": (" - half", ""),
        "half a period is positive": ("a - b + half", "a - b + half - 1"),
        "a difference is wrong at the wrap": (" & (self.period - 1)", ""),
    },
    "default": {
        "each channel has a clock of its own": ("if _default is None:", "if 1:"),
        "an RP2 reads no register": ('if sys.platform == "rp2":', "if 0:"),
        "every board has the RP2040's register": ('if sys.platform == "rp2":', "if 1:"),
        "an RP2350 reads what the RP2040 has there": ('_chip() == "RP2350"', "0"),
        "a timer is called ticks_us": ('"timer" if register else ', ""),
    },
    "cycles": {
        "an RP2 has no cycle counter": ('if sys.platform == "rp2":', "if 0:"),
        "an RP2040 has a DWT": ('if chip == "RP2040":', "if 0:"),
        "SysTick reloads with another value": ("0xFFFFFF\n", "0x7FFFFF\n"),
        "SysTick keeps its count": ("            _store(0xE000E018, 0)\n", ""),
        "SysTick is not started": ("_store(0xE000E010, 5)", "pass"),
        "SysTick wraps at 2**30": (", period=1 << 24", ""),
        "a RISC-V core has a DWT": ('if "RISC" not in sys.implementation._machine:', "if 1:"),
        "no trace is on, so the DWT stands": ("| 1 << 24", "| 0"),
        "the DWT is not started": ("_load(0xE0001000) | 1)", "_load(0xE0001000))"),
        "what else is set for the trace is cleared": ("_load(0xE000EDFC) | 1 << 24", "1 << 24"),
        "what else is set for the DWT is cleared": ("_load(0xE0001000) | 1", "1"),
        "another register of the DWT is read": ("register=0xE0001004", "register=0xE0001000"),
        "an ESP32 has no cycle counter": ('elif sys.platform == "esp32":', "elif 0:"),
        "an ESP32's cycles are microseconds": ("time.ticks_cpu", "time.ticks_us"),
        "a board without one has a cycle counter": ("raise ValueError", "return ValueError"),
    },
    "_chip": {
        "an RP2350 is an RP2040": ('"RP2350" if ', '"RP2040" if '),
    },
    "_systick": {
        "SysTick counts down": ("0xFFFFFF - ", ""),
    },
    "_cyccnt": {
        "cycles wrap at 2**32": (" & 0x3FFFFFFF", ""),
    },
}
