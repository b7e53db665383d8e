"""What only few ask of the chip: see boards/*.toml, from which `make stamp` writes it."""

import sys

# What counts cycles; the register that tells a hard handler; where the RAM ends that a reset
# leaves as it is. 0: none.
#: facts("CYCLES", "EXCEPTION", "RAM_END") :#
CYCLES, EXCEPTION, RAM_END = {
    "ESP32": ("ticks_cpu", 0, 0),
    "ESP32C3": ("ticks_cpu", 0, 0),
    "ESP32C6": ("ticks_cpu", 0, 0),
    "ESP32S3": ("ticks_cpu", 0, 0),
    "RP2040": ("systick", 0xE000ED04, 0x20042000),
    "RP2350": ("dwt", 0xE000ED04, 0x20082000),
    "RP2350-RISCV": ("none", 0, 0x20082000),
}.get(getattr(sys.implementation, "_machine", "").split(" with ")[-1], ("none", 0, 0))
# stamped.
