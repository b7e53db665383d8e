"""A hard interrupt at a chosen cycle of a verb, on an RP2040: what every meeting shares.

The host raises the handler's pin so many cycles after the marker pin has risen, which is on the
instruction before the task calls its verb; the marker falls on the one after.

A trial costs some twenty times what its verb does, and there are a hundred thousand of them. So
they are native, and keep to one buffer for each end of a channel: to take to another one costs the
end more than the rest of a trial.
"""

import micropython
from machine import Pin

MARKER = 2
HANDLER = 3
CAPACITY = 2
WORDS = 5
SIZE = 4 * WORDS  # of a message, in bytes: the unrolled copy, and a rest
PAST = 20  # trials without an interrupt, in a row: the verb has ended before that cycle

marker = Pin(MARKER, Pin.OUT, value=0)
pin = Pin(HANDLER, Pin.IN)

# The marker by the set and clear registers of the chip's GPIO, 1 << MARKER.


@micropython.viper
def call_3(verb, first, second, third):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb(first, second, third)
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def call_2(verb, first, second):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb(first, second)
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def call_1(verb, first):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb(first)
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def call_0(verb):
    ptr32(int(0xD0000014))[0] = 4
    outcome = verb()
    ptr32(int(0xD0000018))[0] = 4
    return outcome


@micropython.viper
def usb_interrupt(on: int):
    # The interrupt of the USB port, number 5, enabled or disabled: its task runs between the
    # bytecodes of a trial, and on an emulator it takes most of the time.
    ptr32(int(0xE000E100) if on else int(0xE000E180))[0] = 1 << 5


class Meeting:
    """A verb of a task, interrupted by a hard handler.

    A subclass has trial(level), which makes one trial with so many messages queued before, checks
    what came of it and returns whether the handler ran; and check_counters(), for after it.
    """

    def handle(self, handler, hard=True):
        """Call `handler` with each rise of the handler's pin."""
        pin.irq(handler, Pin.IRQ_RISING, hard=hard)

    def run(self, level, rounds):
        """Make trials at `level`; print "+" for each that was interrupted, else "-".

        It ends when PAST trials in a row were not, or after `rounds`. Of one that fails it prints
        the number, from 0.
        """
        marks = bytearray(rounds)
        done = past = 0
        usb_interrupt(0)
        try:
            while done < rounds and past < PAST:
                ran = self.trial(level)
                marks[done] = ord("+" if ran else "-")
                done += 1
                past = 0 if ran else past + 1
            self.check_counters()
        except AssertionError:
            print("trial", done)
            raise
        finally:
            usb_interrupt(1)
        print(marks[:done].decode())
