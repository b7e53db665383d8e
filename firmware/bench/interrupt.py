"""What one hard interrupt takes, from the edge of a pin on: measured on the emulated RP2040 only,
as its pins can be driven at a chosen cycle.
"""

import json
from pathlib import Path

import ringlane_host
from ringlane_host.boards import BoardError
from ringlane_host.boards.emulated import EmulatedPico, compiled

PACKAGE = Path(ringlane_host.__file__).resolve().parent.parent / "ringlane"
MARKER, PIN = 3, 2  # GPIO numbers
AFTER = 300  # cycles from the marker's edge to the pin's, in a loop of some 6,000
ROUNDS = 12

# On the chip: the marker rises, the pin some cycles later, while a loop of a known length runs.
PROGRAM = """
import json, micropython
from collections import deque
from machine import Pin
from ringlane import HIGH, PriorityChannel, cycles
import asyncio

ticks = cycles().ticks
marker, pin = Pin(%d, Pin.OUT, value=0), Pin(%d, Pin.IN)
ch = PriorityChannel(8, 4)
flag = asyncio.ThreadSafeFlag()
queue = deque((), 8)

def nothing(pin):
    pass

def send(pin):
    ch.send_word(1, HIGH)

def append(pin):
    queue.append(1)

def append_and_set(pin):
    queue.append(1)
    flag.set()

@micropython.viper
def loop(n: int):
    while n:
        n -= 1

def least(handler, now=ticks, set_marker=marker, wait=loop):
    # Its own, as names of the module may be found later once a handler has looked up others.
    if handler:
        pin.irq(handler, Pin.IRQ_RISING, hard=True)
    best = 1 << 29
    for _ in range(%d):
        ch.clear()
        start = now()
        set_marker(1)
        wait(600)
        end = now()
        set_marker(0)
        best = min(best, (end - start) & 0xFFFFFF)
    if handler:
        pin.irq(None)
    return best

before = least(None)
rows = []
for name, handler in (
    ("a handler in Python that does nothing", nothing),
    ("ch.send_word in a handler", send),
    ("ch.trigger of a register", ch.trigger(HIGH, 0xD0000004)),
    ("ch.trigger that counts", ch.trigger(HIGH)),
    ("deque.append in a handler", append),
    ("deque.append and ThreadSafeFlag.set", append_and_set),
):
    sent = ch.sent
    rows.append((name, least(handler) - before, ch.sent - sent))
print(json.dumps(rows))
"""


def measure(uf2):
    """Return [(what handles the interrupt, cycles, messages sent)]."""
    with EmulatedPico(uf2, compiled(PACKAGE)) as pico:
        stop = pico.interrupt_after(MARKER, PIN, [AFTER] * 1000)
        try:
            return checked(json.loads(pico.exec(PROGRAM % (MARKER, PIN, ROUNDS))))
        finally:
            stop()


def checked(rows):
    """Return the rows; raise BoardError unless each interrupt sent what it is to send."""
    for name, took, sent in rows:
        wanted = ROUNDS if name.startswith("ch.") else 0
        if sent != wanted or took <= 0:
            raise BoardError(f"WrongResult: {name}: {took} cycles, {sent} sent of {wanted}")
    return rows
