"""`machine` of the virtual board: what MicroPython's unix port lacks of it.

The firmware runs here as on a Pico or an ESP32: Pins with edges, Timers, ADCs, UARTs and PWM, and
nothing is attached until somebody attaches it by the board's wires (wires.py). Pins take the
numbers of either board, and so do Timers: -1 or a number.

    a handler that is   is called                                  as on
    hard (hard=True)    at once by a thread, its heap locked       rp2, but beside the program, and
                                                                   not between its instructions
    soft                by the scheduler, between two bytecodes    rp2 and ESP32
                        of the program

No handler interrupts another. Between disable_irq() and enable_irq() none is called. What is not
here raises NotImplementedError, which names it.
"""

from umachine import Signal, idle, mem8, mem16, mem32, soft_reset

from . import wires
from .analog import ADC, PWM, signal
from .interrupts import disable_irq, enable_irq
from .pins import Pin, wire
from .timers import Timer
from .uart import UART, line

_LATER = (
    "ADCBlock CAN Counter DAC Encoder I2C I2CTarget I2S PCNT RTC SDCard SPI SoftI2C SoftSPI "
    "TouchPad USBDevice WDT bitstream bootloader deepsleep dht_readinto freq lightsleep "
    "reset_cause time_pulse_us unique_id"
).split()


def reset():
    """Start the board anew: what stands between it and its terminal powers it on again."""
    import os

    os.system("kill -9 $PPID")


def __getattr__(name):
    if name in _LATER:
        raise NotImplementedError("machine.%s: the virtual board has none" % name)
    raise AttributeError("module 'machine' has no attribute '%s'" % name)


wires.open_door(wire, signal, line)
