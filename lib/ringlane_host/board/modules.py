"""The modules that a board's firmware imports, but for `machine` and `asyncio`."""

import collections
import gc
import importlib
import io
import os
import random
import time
import traceback
import types
from typing import Any

from .. import simulate
from ..simulate import ticks
from .faults import BlockingInHandler, NotSimulated
from .firmware import PLAIN, is_ours

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_TICKS = 1 << 30
_POLL = 3
_EPOCH = 1_609_459_200  # 2021-01-01, where the clock of a board without a battery begins
_STAND_INS = (
    "network",
    "bluetooth",
    "cryptolib",
    "deflate",
    "dht",
    "ds18x20",
    "onewire",
    "platform",
    "espnow",
    "socket",
    "ssl",
    "btree",
    "framebuf",
    "ulab",
    "vfs",
)


def _module(name, doc, **names):
    module = types.ModuleType(name, doc)
    for key, value in names.items():
        setattr(module, key, value)
    return module


def _and_not_simulated(module, names):
    # What the board's module has beside that, and is not simulated.
    there = names.split()

    def __getattr__(attribute):
        if attribute in there:
            raise NotSimulated(f"{module.__name__}.{attribute} is not simulated")
        raise AttributeError(f"module '{module.__name__}' has no attribute '{attribute}'")

    module.__getattr__ = __getattr__
    return module


def _stand_in(name):
    module = types.ModuleType(name, "What no simulated board has.")

    def __getattr__(attribute):
        if attribute[:2] == "__":
            raise AttributeError(attribute)
        raise NotSimulated(f"{name}.{attribute} is not simulated")

    module.__getattr__ = __getattr__
    return module


def make_time(kernel):
    """Return `time`."""

    def ticks_us():
        kernel.work(1)
        return kernel.now & _TICKS - 1

    def ticks_ms():
        kernel.work(1)
        return kernel.now // 1000 & _TICKS - 1

    for each in (ticks_us, ticks_ms):
        each.simulated_kind = ticks.ticks_us.simulated_kind

    def sleep_us(us):
        # As the ports have it: soft handlers run in the whole milliseconds only.
        end = kernel.now + max(0, us)
        if us > 1000:
            kernel.wait(kernel.now + us // 1000 * 1000)
        kernel.wait(max(kernel.now, end), soft=False)

    def sleep_ms(ms):
        kernel.wait(kernel.now + 1000 * max(0, ms))

    def seconds_now():
        return kernel.now // 1_000_000 + _EPOCH + kernel.rtc_offset

    def localtime(seconds=None):
        seconds = seconds_now() if seconds is None else seconds
        when = time.gmtime(seconds)
        return (*when[:6], when.tm_wday, when.tm_yday)

    return _module(
        "time",
        "MicroPython's time, virtual.",
        ticks_us=ticks_us,
        ticks_cpu=ticks_us,
        ticks_ms=ticks_ms,
        ticks_add=ticks.ticks_add,
        ticks_diff=ticks.ticks_diff,
        sleep=lambda s: sleep_ms(int(s * 1000)),
        sleep_ms=sleep_ms,
        sleep_us=sleep_us,
        time=seconds_now,
        time_ns=lambda: (kernel.now + (_EPOCH + kernel.rtc_offset) * 1_000_000) * 1000,
        localtime=localtime,
        gmtime=localtime,
        mktime=lambda t: __import__("calendar").timegm((*t[:6], 0, 0, 0)),
    )


def make_micropython(kernel, channels):
    """Return `micropython`."""

    def viper(function):
        inner = simulate.viper(function)
        record = channels.recorder(function)
        hands_out = channels.results.of(function)

        def call(*args, **keywords):
            core = kernel.core
            core.viper += 1
            try:
                result = inner(*args, **keywords)
            finally:
                core.viper -= 1
            if record is not None:
                quiet, kernel.quiet = kernel.quiet, True
                record(args, result)
                kernel.quiet = quiet
            if not core.viper:
                kernel.work(10 if result else 50)  # what polls in vain does so for longer
                if kernel._queue and kernel.source is None:
                    kernel.run_scheduled()
                if hands_out and type(result) is list:
                    result = channels.results.hand_out(result, function.__name__)
            return result

        call.__name__ = call.__qualname__ = function.__name__
        call.__doc__ = function.__doc__
        call.__wrapped__ = function
        call.simulated_kind = inner.simulated_kind
        return call

    def schedule(function, arg):
        name = getattr(function, "__qualname__", repr(function))
        if not kernel.schedule(function, arg, f"scheduled {name}"):
            raise RuntimeError("schedule queue full")
        kernel.stirred += 1

    locks = 0

    def heap_lock():
        nonlocal locks
        locks += 1

    def heap_unlock():
        nonlocal locks
        if not locks:
            raise simulate.SimulationError("heap_unlock() without heap_lock()")
        locks -= 1
        return locks

    def asm(function):
        if function.__name__ == "fence" and "__name__" not in function.__globals__:
            return simulate.memory.fence  # of ringlane's fence.py
        raise NotSimulated(f"machine code is not simulated: {function.__name__}()")

    class RingIO(io.IOBase):
        """Bytes in a ring: what does not fit is left."""

        def __init__(self, size):
            self._size = size if isinstance(size, int) else len(size) - 1
            self._bytes = bytearray()

        def any(self):
            return len(self._bytes)

        def write(self, data):
            part = bytes(data)[: self._size - len(self._bytes)]
            self._bytes += part
            return len(part)

        def read(self, n=-1):
            kernel.allocates("RingIO.read()")
            part = bytes(self._bytes if n < 0 else self._bytes[:n])
            del self._bytes[: len(part)]
            return part or None

        def readinto(self, buf, n=None):
            into = memoryview(buf).cast("B")
            count = min(len(into) if n is None else n, len(self._bytes))
            into[:count] = self._bytes[:count]
            del self._bytes[:count]
            return count or None

        def close(self):
            pass

        def ioctl(self, request, flags):
            room = len(self._bytes) < self._size
            return flags & ((1 if self._bytes else 0) | (4 if room else 0))

    return _module(
        "micropython",
        "MicroPython's own module, on a simulated board.",
        const=lambda value: value,
        viper=viper,
        native=lambda function: function,
        asm_thumb=asm,
        asm_rv32=asm,
        asm_xtensa=asm,
        schedule=schedule,
        heap_lock=heap_lock,
        heap_unlock=heap_unlock,
        heap_locked=lambda: locks,
        opt_level=lambda *level: None if level else 0,
        alloc_emergency_exception_buf=lambda size: None,
        kbd_intr=lambda char: None,
        mem_info=lambda *verbose: None,
        qstr_info=lambda *verbose: None,
        stack_use=lambda: 0,
        RingIO=RingIO,
    )


def make_sys(kernel, facts, modules, say):
    """Return `sys`."""

    def print_exception(error, file=None):
        lines = ["Traceback (most recent call last):"]
        for each in traceback.extract_tb(error.__traceback__):
            if not is_ours(each.filename):
                name = os.path.basename(each.filename)
                lines.append(f'  File "{name}", line {each.lineno}, in {each.name}')
        lines.append(f"{type(error).__name__}: {error}")
        text = "\n".join(lines) + "\n"
        say(text) if file is None else file.write(text)

    class Out(io.StringIO):
        def write(self, text):
            say(text if isinstance(text, str) else bytes(text).decode(errors="replace"))
            return len(text)

        def ioctl(self, request, flags):
            return flags & 4  # it takes whatever is written

        @property
        def buffer(self):
            return self

    class In(io.StringIO):
        def read(self, size=-1):
            raise NotSimulated("sys.stdin is not simulated: nobody types at a simulated board")

        readline = read
        readinto = read

        @property
        def buffer(self):
            return self

        def ioctl(self, request, flags):
            return 0  # nobody types

    def leave(status=0):
        raise SystemExit(status)

    implementation = types.SimpleNamespace(
        name="micropython",
        version=(1, 28, 0, ""),
        _machine=f"{facts.name} with {facts.mcu}",
        _mpy=facts.mpy,
        _build=facts.board,
    )
    return _module(
        "sys",
        "MicroPython's sys, of a simulated board.",
        platform=facts.platform,
        implementation=implementation,
        version="3.4.0; MicroPython v1.28.0, simulated",
        version_info=(3, 4, 0),
        byteorder="little",
        maxsize=0x7FFFFFFF,
        modules=modules,
        path=["", ".frozen", "/lib"],
        argv=[],
        exit=leave,
        print_exception=print_exception,
        stdout=Out(),
        stderr=Out(),
        stdin=In(),
    )


def make_collections():
    """Return `collections`, with MicroPython's deque."""

    class deque(collections.deque[Any]):
        """deque(iterable, maxlen, flags): with flags 1 a full one raises IndexError."""

        def __init__(self, iterable, maxlen, flags=0):
            super().__init__(iterable, maxlen)
            self._checks = flags & 1

        def append(self, item):
            if self._checks and len(self) == self.maxlen:
                raise IndexError("full")
            super().append(item)

        def appendleft(self, item):
            if self._checks and len(self) == self.maxlen:
                raise IndexError("full")
            super().appendleft(item)

    return _module(
        "collections",
        "MicroPython's collections.",
        deque=deque,
        namedtuple=collections.namedtuple,
        OrderedDict=collections.OrderedDict,
    )


def make_select(kernel, look_us):
    """Return `select`; `look_us`: how often a poll looks at its streams by itself."""

    class Poll:
        def __init__(self):
            self._streams = {}

        def register(self, stream, events=5):
            self._streams[id(stream)] = (stream, events)

        modify = register

        def unregister(self, stream):
            del self._streams[id(stream)]

        def ipoll(self, timeout=-1, flags=0):
            end = 1 << 62 if timeout < 0 else kernel.now // 1000 * 1000 + 1000 * timeout
            while True:
                ready = []
                since = kernel.stirred
                for stream, events in list(self._streams.values()):
                    kernel.core.viper += 1
                    try:
                        found = stream.ioctl(_POLL, events)
                    finally:
                        kernel.core.viper -= 1
                    if found:
                        ready.append((stream, found))
                if ready or kernel.now >= end:
                    return ready
                kernel.wait(min(end, kernel.now + look_us), polling=True, since=since)

        poll = ipoll

    module = _module("select", "MicroPython's select.", poll=Poll, POLLIN=1, POLLOUT=4, POLLERR=8)
    module.POLLHUP = 16
    return _and_not_simulated(module, "select")


def make_thread(kernel, facts):
    """Return `_thread`: the second core of an rp2, threads elsewhere."""

    def waits_for_ever():
        return (
            f"{kernel.who()}, {kernel.place()}: takes a lock, and would wait for ever for what it "
            "interrupts: acquire(0), or a channel"
        )

    class Lock:
        def __init__(self):
            self._locked = False
            self._owner = None

        def acquire(self, waitflag=1, timeout=-1):
            if waitflag and kernel.source is not None:
                kernel.fault_once(BlockingInHandler, kernel.place(), waits_for_ever())
            elif waitflag and kernel.core.in_soft and self._locked and self._owner is kernel.core:
                raise BlockingInHandler(waits_for_ever())
            while self._locked:
                if not waitflag:
                    return False
                kernel.wait(1 << 62, polling=True)
            self._locked = True
            self._owner = kernel.core
            return True

        def release(self):
            if not self._locked:
                raise RuntimeError("release unlocked lock")
            self._locked = False
            kernel.stirred += 1

        def locked(self):
            return self._locked

        def __enter__(self):
            return self.acquire()

        def __exit__(self, *exc):
            self.release()

    def start_new_thread(function, args, keywords=None):
        running = [core for core in kernel.cores if core.number and not core.ended]
        if facts.port == "rp2" and running:
            raise OSError("core1 in use")
        name = "core 1" if facts.port == "rp2" else f"thread {len(kernel.cores)}"
        core = kernel.start(lambda: function(*args, **(keywords or {})), name)
        return core.number

    def leave():
        raise SystemExit

    return _module(
        "_thread",
        "MicroPython's _thread, deterministic.",
        allocate_lock=Lock,
        LockType=Lock,
        start_new_thread=start_new_thread,
        get_ident=lambda: kernel.core.number,
        stack_size=lambda *size: 0 if size else 4096,
        exit=leave,
    )


def make_uctypes():
    """Return `uctypes`, as far as addresses go."""

    def bytearray_at(address, size):
        region = simulate.memory.at(address)
        if region is None or address + size > region.start + region.size:
            raise simulate.BadAddress(f"bytearray_at({address:#x}, {size}): no buffer is there")
        start = address - region.start
        return memoryview(region.buffer).cast("B")[start : start + size]

    module = _module(
        "uctypes",
        "MicroPython's uctypes.",
        addressof=lambda obj: simulate.memory.address_of(obj)[0],
        bytearray_at=bytearray_at,
        LITTLE_ENDIAN=0,
        BIG_ENDIAN=1,
        NATIVE=2,
    )
    sizes = [
        f"{kind}{bits}" for kind in ("UINT", "INT", "BFUINT", "BFINT") for bits in (8, 16, 32)
    ]
    rest = "struct sizeof bytes_at UINT64 INT64 BF_POS BF_LEN FLOAT32 FLOAT64 VOID PTR ARRAY"
    return _and_not_simulated(module, " ".join([rest, *sizes]))


def make_random():
    """Return `random`, the same numbers after each reset."""
    numbers = random.Random(0)
    names = ("getrandbits", "seed", "randrange", "randint", "choice", "random", "uniform")
    return _module(
        "random", "The same after each reset.", **{n: getattr(numbers, n) for n in names}
    )


def make_gc():
    """Return `gc`."""

    def collect():
        gc.collect(0)
        return 0

    return _module(
        "gc",
        "MicroPython's gc; free memory is that of the simulated address space.",
        collect=collect,
        mem_alloc=lambda: simulate.memory.heap()[0],
        mem_free=lambda: simulate.memory.heap()[1],
        enable=lambda: None,
        disable=lambda: None,
        isenabled=lambda: True,
        threshold=lambda *amount: None if amount else -1,
    )


def make_os(facts, flash):
    """Return `os`, on the board's files."""
    version = f"v1.28.0 on {facts.name}, simulated"
    noise = random.Random(0)
    names = (
        "listdir",
        "remove",
        "rename",
        "mkdir",
        "rmdir",
        "stat",
        "ilistdir",
        "chdir",
        "getcwd",
    )
    module = _module(
        "os",
        "MicroPython's os, on the board's files.",
        uname=lambda: (facts.platform, facts.platform, "1.28.0", version, facts.name),
        urandom=lambda n: noise.randbytes(n),
        sync=lambda: None,
        sep="/",
        unlink=flash.remove,
        **{name: getattr(flash, name) for name in names},
    )
    return _and_not_simulated(
        module, "statvfs mount umount VfsFat VfsLfs2 AbstractBlockDev dupterm dupterm_notify"
    )


def plain_modules():
    """Return what firmware may import of CPython's as it is, by name."""
    modules = {name: importlib.import_module(name) for name in PLAIN}
    # A copy, as firmware must not be able to change what the test's process uses.
    for name, module in modules.items():
        copy = types.ModuleType(name, module.__doc__)
        copy.__dict__.update({k: v for k, v in vars(module).items() if k[:2] != "__"})
        modules[name] = copy
    modules.update({name: _stand_in(name) for name in _STAND_INS})
    return modules


__all__ = [
    "make_collections",
    "make_gc",
    "make_micropython",
    "make_os",
    "make_random",
    "make_select",
    "make_sys",
    "make_thread",
    "make_time",
    "make_uctypes",
    "plain_modules",
]
