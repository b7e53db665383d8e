"""The blocks of code in README, as programs: readme.py FOLDER writes them, for a type checker.

For each port there a project with README's pyproject.toml, and one with a wrong program.
"""

import re
import sys
from pathlib import Path

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
FIRST, *FRAGMENTS = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
(CHECKERS,) = re.findall(r"^```toml\n(.*?)^```", README, re.M | re.S)
SWEEP, USES = (each for each in FRAGMENTS if "ringlane_host" in each)  # for CPython alone
FRAGMENTS.remove(SWEEP)
FRAGMENTS.remove(USES)
CHIP = re.compile(r"\b(Pin|IrqGuard)\(")  # the unix port has none

# What a reader fills in round a fragment.
AROUND = """\
import asyncio
from array import array
from ringlane import HIGH, LEAST_LOADED, LOW, NORMAL, AnycastChannel, Channel, LockGuard
from ringlane import FlightRecorder, MulticastChannel, PriorityChannel, Recorder
from ringlane import RequestReplyChannel, SoftGuard
job = b"job"
seen = [b""]
def handle(buf, size):
    seen.append(bytes(buf[:size]))
"""
CHANNEL = "ch = PriorityChannel(8, slot_size=4)\n"
ON_CHIP = """\
from machine import Pin
from ringlane import IrqGuard
"""


def whole(fragment):
    """Return a fragment with what a reader fills in round it."""
    chip = ON_CHIP if CHIP.search(fragment) else ""
    channel = "" if re.search(r"^ch =", fragment, re.M) else CHANNEL
    return AROUND + chip + channel + fragment


def on_esp32(program):
    """Return the first program as README says that an ESP32 needs it."""
    for old, new in (
        ("import ADC,", "import ADC, Pin,"),
        ("ADC(26)", "ADC(Pin(4))"),
        ("Timer(-1, freq=360, hard=True,", "Timer(0, freq=360,"),
    ):
        assert old in program
        program = program.replace(old, new)
    return program


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for port, programs in {
        "rp2": [FIRST, *map(whole, FRAGMENTS)],
        "esp32": [on_esp32(FIRST), *(whole(each) for each in FRAGMENTS if not CHIP.search(each))],
    }.items():
        wrong = FIRST.replace("adc.read_u16()", "'a str'")
        for name, files in (port, programs), (f"wrong_{port}", [wrong]):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / "pyproject.toml").write_text(CHECKERS)
            for number, program in enumerate(files):
                (folder / name / f"readme_{number}.py").write_text(program)
