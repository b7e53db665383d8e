"""What only few ask of the chip: see boards/*.toml, from which `make stamp` writes it."""

import sys

# The register that tells the core that reads it, the one that tells a hard handler, and where the
# RAM ends that a reset leaves as it is, 0: none; what counts cycles.
#: facts("CPU_ID", "EXCEPTION", "RAM_END", "CYCLES") :#
mcu = getattr(sys.implementation, "_machine", "").split(" with ")[-1]
CPU_ID = 0
EXCEPTION = 0
RAM_END = 0
CYCLES = "none"
if mcu == "ESP32" or mcu == "ESP32C3" or mcu == "ESP32C6" or mcu == "ESP32S3":
    CYCLES = "ticks_cpu"
elif mcu == "RP2350-RISCV":
    CPU_ID = 0xD0000000
    RAM_END = 0x20082000
elif mcu == "RP2040":
    CPU_ID = 0xD0000000
    EXCEPTION = 0xE000ED04
    RAM_END = 0x20042000
    CYCLES = "systick"
elif mcu == "RP2350":
    CPU_ID = 0xD0000000
    EXCEPTION = 0xE000ED04
    RAM_END = 0x20082000
    CYCLES = "dwt"
del mcu
# stamped.
