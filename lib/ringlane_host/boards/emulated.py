"""An emulated RP2040 running real MicroPython firmware: one core, cycle by cycle.

    with EmulatedPico("RPI_PICO.uf2", compiled("lib/ringlane", "handlers.py")) as pico:
        print(pico.exec("import handlers"))

The emulator is the package rp2040py; the firmware is a .uf2 of MicroPython for RPI_PICO.
"""

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from rp2040py import cli as command
from rp2040py.boards import BOARDS, resolve_firmware
from rp2040py.device import MicroPythonDevice
from rp2040py.gpio_pin import GPIOPinState

from . import virtual
from .compiler import compile_to

CYCLE_NS = 8  # the firmware runs the chip at 125 MHz

# Makes the flash's file system on the host: byte by byte through the console takes a minute.
_MAKE_IMAGE = """
import os, sys, vfs
files, out, size, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

class Flash:
    def __init__(self):
        self.data = bytearray(b"\\xff" * (size * count))
    def readblocks(self, block, buf, offset=0):
        at = block * size + offset
        buf[:] = self.data[at:at + len(buf)]
    def writeblocks(self, block, buf, offset=0):
        at = block * size + offset
        self.data[at:at + len(buf)] = buf
    def ioctl(self, request, _):
        return {4: count, 5: size}.get(request, 0)

def copy(source, to):
    for name, kind, *_ in os.ilistdir(source):
        if kind == 0x4000:
            os.mkdir(to + "/" + name)
            copy(source + "/" + name, to + "/" + name)
        else:
            with open(source + "/" + name, "rb") as data, open(to + "/" + name, "wb") as made:
                made.write(data.read())

flash = Flash()
vfs.VfsLfs2.mkfs(flash)
vfs.mount(flash, "/flash")
copy(files, "/flash")
vfs.umount("/flash")
with open(out, "wb") as made:
    made.write(flash.data)
"""


class DeviceError(Exception):
    """The program on the chip raised; the text is its traceback."""


def compiled(*sources):
    """Return {path on the chip: the .mpy's bytes} of modules, and of packages below lib/.

    `sources` are .py files, and folders that are packages. Raises FileNotFoundError for a package
    without modules, BoardError for one that does not compile.
    """
    files = {}
    with tempfile.TemporaryDirectory() as scratch:
        for source in map(Path, sources):
            modules = [source]
            folder = ""
            if source.is_dir():
                modules = [path for path in sorted(source.glob("*.py")) if path.stem != "manifest"]
                folder = f"lib/{source.name}/"
                if not modules:
                    raise FileNotFoundError(f"no modules in {source}")
            for module in modules:
                made = compile_to(scratch, "armv6m", module, module.name)
                files[f"{folder}{module.stem}.mpy"] = made.read_bytes()
    return files


class EmulatedPico:
    """A booted chip. Use as a context manager.

    `uf2` is the firmware's file; `files`, {path: bytes}, is what the chip's file system holds.
    Every method blocks until the chip has answered. In between the chip stands still, and takes
    nothing of the host's time.
    """

    def __init__(self, uf2, files=None):
        if not Path(uf2).is_file():
            raise FileNotFoundError(f"no RP2040 firmware at {uf2}")
        board = _board_with(uf2)
        with tempfile.TemporaryDirectory() as scratch:
            image = _file_system(uf2, files, Path(scratch)) if files else None
            self._device = MicroPythonDevice(board=board, filesystem=image)
        self._device.start_async(120).result()
        self._device.simulator.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._device.stop()

    def exec(self, source, timeout=600):
        """Run `source` on the chip; return what it printed. Raises DeviceError if it raised."""
        with self._running():
            out, err = self._device.exec_async(source, timeout).result()
        if err.strip():
            raise DeviceError(err.decode(errors="replace") + out.decode(errors="replace"))
        return out.decode().replace("\r\n", "\n")

    def reset(self, timeout=120):
        """Start the chip anew: nothing is left in its memory, its file system stays."""
        with self._running():
            self._device.hard_reset_async(timeout).result()

    @contextmanager
    def _running(self):
        self._device.simulator.start_execution()
        try:
            yield
        finally:
            self._device.simulator.stop()

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

        self.call(lambda: target.set_input_value(False))
        detach = self.call(lambda: mcu.gpio[marker].add_listener(listen))
        return lambda: self.call(detach)

    def loop_back(self, *pins):
        """Let the chip read what it drives on these GPIOs; return what ends it.

        A real one does. The emulator has no such path: an output reads 0 and has no edges.
        """

        detached = [self.call(lambda pin=pin: _follow(self._device.mcu.gpio[pin])) for pin in pins]

        def stop():
            for detach in detached:
                self.call(detach)

        return stop

    def call(self, function):
        """Return function(), called in the emulator's own thread, between two instructions."""

        async def call():
            return function()

        return self._device.simulator.call(call())


def _follow(gpio):
    def listen(state, _before):
        if state in (GPIOPinState.LOW, GPIOPinState.HIGH):
            gpio.set_input_value(state == GPIOPinState.HIGH)

    return gpio.add_listener(listen)


def _board_with(uf2):
    return resolve_firmware(BOARDS["pico"], "micropython", str(uf2))


def _file_system(uf2, files, scratch):
    for path, data in files.items():
        to = scratch / "files" / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(data)
    return make_image(uf2, scratch / "files", scratch / "image")


def make_image(uf2, folder, image):
    """Write what that firmware's file system is to be, with all of `folder`; return `image`.

    Raise FileNotFoundError without the firmware, or a unix MicroPython, which makes it.
    """
    layout = _board_with(uf2).layout
    heap = ["-X", f"heapsize={2 * layout.fs_blocksize * layout.fs_blockcount + 4_000_000}"]
    arguments = [folder, image, layout.fs_blocksize, layout.fs_blockcount]
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(_MAKE_IMAGE)
        script.flush()
        words = [virtual.micropython(), *heap, script.name, *map(str, arguments)]
        subprocess.run(words, check=True)
    return image


def main():
    """Run the command line of rp2040py, with chips that read what they drive."""
    start = MicroPythonDevice.__init__

    def started(device, *args, **options):
        start(device, *args, **options)
        for gpio in device.mcu.gpio:
            _follow(gpio)

            def listen(state, before, gpio=gpio):
                # No longer driven: its pull decides again.
                if before in (GPIOPinState.LOW, GPIOPinState.HIGH) and state > GPIOPinState.HIGH:
                    gpio.release_input()

            gpio.add_listener(listen)

    MicroPythonDevice.__init__ = started  # type: ignore[assignment,method-assign]
    command.main()


__all__ = ["CYCLE_NS", "DeviceError", "EmulatedPico", "compiled"]


if __name__ == "__main__":
    main()
