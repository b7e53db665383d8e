"""Other processors' instructions: MicroPython's port for QEMU, in QEMU.

    with run("VIRT_RV32.elf") as port:
        Target(port, "QEMU")

It has a REPL on a pseudo-terminal, which mpremote drives, and its processor's emitter; no file
system, of `machine` next to nothing, no pins, timers, interrupts or `_thread`. The firmware is a
file called after the board for which it was built:

    make -C ports/qemu BOARD=VIRT_RV32 MICROPY_HEAP_SIZE=1600000 FROZEN_MANIFEST=FILE

(the others: 3000000), with this in FILE:

    package("asyncio", ("__init__.py", "core.py", "event.py", "funcs.py", "lock.py", "stream.py",
        "task.py"), base_path="$(MPY_DIR)/extmod", opt=3)
"""

import base64
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ringlane_host.boards import BoardError


class Machine(NamedTuple):
    """A board of that port: its processor, whose instructions those are too, how it starts."""

    processor: str
    stands_for: str
    command: str


MACHINES = {
    "MPS2_AN385": Machine("Cortex-M3", "Thumb-2", "qemu-system-arm -machine mps2-an385"),
    "MPS2_AN500": Machine("Cortex-M7", "RP2350, ARM", "qemu-system-arm -machine mps2-an500"),
    "SABRELITE": Machine(
        "Cortex-A9", "ARM, not Thumb", "qemu-system-arm -machine sabrelite -m 128M"
    ),
    "VIRT_RV32": Machine(
        "RV32",
        "RP2350, RISC-V; ESP32-C3 and -C6",
        "qemu-system-riscv32 -machine virt -bios none",
    ),
}


@contextmanager
def run(firmware):
    """Start QEMU with the file `firmware`; give the port of its REPL, and end it.

    Raise BoardError if there is no such file or machine, no QEMU, or it ends at once.
    """
    path = Path(firmware)
    machine = MACHINES.get(path.stem)
    if machine is None or path.suffix != ".elf":
        names = ", ".join(f"{name}.elf" for name in MACHINES)
        raise BoardError(f"{firmware}: a firmware for QEMU is called {names}")
    if not path.is_file():
        raise BoardError(f"no firmware file {firmware}")
    command = machine.command.split()
    if shutil.which(command[0]) is None:
        raise BoardError(f"no {command[0]}: install QEMU, on Debian qemu-system-arm and -misc")
    process = subprocess.Popen(
        [*command, "-nographic", "-monitor", "none", "-semihosting", "-serial", "pty"]
        + ["-kernel", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if port := re.search(r"redirected to (/dev/\S+)", line):
                break
        else:
            raise BoardError(f"{command[0]} ended: {''.join(said).strip()}")
        # Whatever else it prints, it must never wait for somebody to read it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield port[1]
    finally:
        process.kill()
        process.wait()


# A file system of files in memory, enough to import from. (mpremote's own, a mounted folder, asks
# the host for every few bytes, and gives up on a host that is busy.)
_MEMORY = """
import binascii, io, vfs
files = {}
class Memory:
    def mount(self, readonly, mkfs): pass
    def umount(self): pass
    def chdir(self, path): pass
    def getcwd(self): return "/"
    def stat(self, path):
        path = path.strip("/")
        if path in files:
            return (0x8000,) + 9 * (0,)
        if any(name.startswith(path + "/") for name in files):
            return (0x4000,) + 9 * (0,)
        raise OSError(2)
    def open(self, path, mode):
        path = path.strip("/")
        if path not in files:
            raise OSError(2)
        return io.BytesIO(files[path])
vfs.mount(Memory(), "/")
import sys
sys.path[:] = ["/lib", "/", ".frozen"]
"""


def run_from_memory(target, folder, program, timeout):
    """Run `program` on the Target with what is in `folder` in a file system in memory.

    Return (exit status, what it printed).
    """
    steps = ["exec", _MEMORY]
    for path in sorted(Path(folder).rglob("*.*")):
        data = base64.b64encode(path.read_bytes()).decode()
        name = path.relative_to(folder).as_posix()
        steps += ["exec", f"files[{name!r}] = binascii.a2b_base64({data!r})"]
    return target.stream(*steps, "exec", program, out=None, timeout=timeout)
