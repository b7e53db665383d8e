"""The simulated memory punishes what a chip would punish, and viper's rules are MicroPython's."""

import gc
import sys
import time
from array import array
from functools import partial

import micropython
import pytest
from ringlane_host import simulate
from ringlane_host.explore import ExplorationError, interrupts, replay, runs
from ringlane_host.simulate import address_space, memory, ptr8, ptr16, ptr32


def test_loads_and_stores_reach_the_buffer():
    buf = bytearray(b"\x01\x02\x03\x84\xff\xff\xff\x7f")
    assert ptr8(buf)[3] == 0x84
    assert ptr16(buf)[1] == 0x8403
    assert ptr32(buf)[0] == 0x84030201 - (1 << 32)  # signed, as on a chip
    assert ptr32(buf)[1] == 0x7FFFFFFF
    ptr32(buf)[1] = -2
    ptr16(buf)[0] = 0x12345
    ptr8(buf)[2] = 0x1FF
    assert buf == b"\x45\x23\xff\x84\xfe\xff\xff\xff"
    words = array("i", [5, 6])
    ptr32(words)[1] += 1
    assert words[1] == 7 and ptr8(words)[0] == 5


def test_addresses_carry_through_int_and_views():
    buf = bytearray(range(16))
    address = int(ptr8(buf))
    assert address % 16 == 0 and 0 < address < 1 << 30
    assert ptr8(address + 5)[0] == 5
    assert int(ptr8(memoryview(buf)[3:9])) == address + 3
    assert int(ptr8(memoryview(memoryview(buf)[3:])[2:])) == address + 5
    assert int(ptr8(ptr32(buf))) == address == int(ptr32(buf))


@pytest.mark.parametrize("offset", [-1, 8, 9, 70])
def test_an_access_beyond_the_buffer_is_an_error_that_names_it(offset):
    buf = bytearray(8)
    with pytest.raises(simulate.OutOfBounds, match=rf"byte {offset} of a bytearray of 8 bytes"):
        ptr8(buf)[offset] = 1
    with pytest.raises(simulate.OutOfBounds, match="load of 4 bytes at byte 8"):
        ptr32(buf)[2]
    assert buf == bytes(8)


def test_an_overrun_through_an_address_never_reaches_the_next_buffer():
    first, second = bytearray(16), bytearray(b"\x55" * 16)
    start = int(ptr8(first))
    gap = int(ptr8(second)) - start
    assert gap > 16
    found = 0
    for past in range(16, gap):
        with pytest.raises((simulate.OutOfBounds, simulate.BadAddress)):
            ptr8(start + past)[0] = 0
        found += 1
    assert found and second == b"\x55" * 16


@pytest.mark.parametrize("pointer, width", [(ptr16, 2), (ptr32, 4)])
def test_an_unaligned_access_is_an_error(pointer, width):
    buf = bytearray(16)
    for offset in range(1, width):
        with pytest.raises(simulate.Unaligned, match=f"byte {offset} of a bytearray"):
            pointer(int(ptr8(buf)) + offset)[0]
    with pytest.raises(simulate.Unaligned):
        pointer(memoryview(buf)[1:])[0] = 1


def test_bytes_can_be_placed_off_their_alignment():
    memory.misalign = 1
    try:
        assert int(ptr8(bytes([1, 2, 3]) + b"4")) % 4 == 1
    finally:
        memory.misalign = 0


def test_an_unknown_or_freed_address_is_an_error():
    for address in (0, 4, 0x1FFFFFF0, 0x40054028, -4):
        with pytest.raises(simulate.BadAddress, match="address of no buffer"):
            ptr8(address)[0]
    buf = bytearray(4)
    address = int(ptr8(buf))
    assert ptr8(address)[0] == 0
    del buf
    gc.collect()
    with pytest.raises(simulate.BadAddress, match="bytearray of 4 bytes, which has been freed"):
        ptr8(address)[0]


def test_a_store_into_a_constant_is_an_error():
    constant = b"constant"
    for buf in (constant, memoryview(constant), "text"):
        with pytest.raises(simulate.ReadOnly, match="a (bytes|str) of"):
            ptr8(buf)[0] = 0
    assert constant == b"constant"


def test_what_is_no_buffer_is_a_type_error():
    for value, kind in ((None, "NoneType"), ([1], "list"), (1.5, "float")):
        with pytest.raises(TypeError, match=f"can't convert {kind} to int"):
            ptr8(value)


@pytest.fixture
def device():
    """memory.device; what it maps is unmapped at the end, for boards in other tests."""
    mapped = []

    def device(address, size):
        mapped.append(memory.device(address, size))
        return mapped[-1]

    yield device
    for registers in mapped:
        memory.unmap(registers)


def test_a_device_register_is_a_word_of_memory(device):
    registers = device(0x40054000, 64)
    registers[0x28:0x2C] = (123).to_bytes(4, "little")
    assert ptr32(0x40054028)[0] == 123


def test_a_channel_reads_the_register_of_its_clock(device):
    from ringlane import Clock, PriorityChannel

    @micropython.viper
    def ticks() -> int:
        return 0  # it stands still

    registers = device(0x50000000, 4)
    ch = PriorityChannel(1, clock=Clock("fake", 1000000, ticks, register=0x50000000))
    for now, then, latency in ((5, 12, 7), (0xFFFFFFFE, 3, 5), (0x7FFFFFFF, 0x80000001, 2)):
        registers[:] = now.to_bytes(4, "little")
        assert ch.send_word(1, 2)
        registers[:] = then.to_bytes(4, "little")
        assert ch.recv_word()[2] == latency and ch.timestamp() == now & 0x3FFFFFFF
        assert ch.send_word_at(1, 2, then - 1) and ch.recv_word()[2] == 1


def test_many_buffers_come_and_go():
    kept = [bytearray(10) for _ in range(20)]
    before = len(memory._regions)  # what other tests keep
    addresses = [int(ptr8(buf)) for buf in kept]
    for _ in range(2000):
        assert ptr8(bytearray(3))[0] == 0
    assert len(memory._regions) < before + 1500
    assert [int(ptr8(buf)) for buf in kept] == addresses


def test_a_resized_buffer_leaves_its_address():
    buf = bytearray(8)
    pointer = ptr8(buf)
    address = int(pointer)
    buf.extend(bytes(500))  # the memory holds no export, so it can be resized
    with pytest.raises(simulate.BadAddress, match="8 bytes, which has been freed or resized"):
        ptr8(address)[0]
    assert int(ptr8(buf)) != address and ptr8(buf)[507] == 0
    buf = bytearray(8)
    pointer = ptr8(buf)
    del buf[:]
    with pytest.raises(simulate.BadAddress, match="resized"):
        pointer[0]


def test_an_address_of_more_than_32_bits_is_an_error():
    for address in (1 << 32, -(1 << 31) - 1):
        with pytest.raises(simulate.BadAddress, match="more than 32 bits"):
            ptr32(address)
    with pytest.raises(simulate.BadAddress, match="more than 32 bits"):
        ptr32(0)[1 << 30]


def test_a_pointer_to_zero_reaches_every_address():
    first, second = bytearray(b"\x01" * 4), bytearray(b"\x02" * 300)
    memory_of_all = ptr8(0)
    assert memory_of_all[int(ptr8(first))] == 1
    assert memory_of_all[int(ptr8(second)) + 299] == 2


def test_a_device_that_is_unmapped_is_there_no_more():
    registers = memory.device(0x18000000, 4)
    assert ptr32(0x18000000)[0] == 0
    memory.unmap(registers)
    with pytest.raises(simulate.BadAddress):
        ptr32(0x18000000)[0]


def test_a_device_mapped_again_has_its_new_registers(device):
    device(0x10000000, 8)[0] = 1
    device(0x10000000, 8)[0] = 2
    gc.collect()
    assert ptr32(0x10000000)[0] == 2
    with pytest.raises(ValueError, match="0x10000004 is taken by a device of 8 bytes"):
        memory.device(0x10000004, 8)
    address = int(ptr8(kept := bytearray(64)))
    with pytest.raises(ValueError, match="taken by a bytearray of 64 bytes"):
        memory.device(address, len(kept))


def test_all_addresses_given_the_free_ones_are_given_again(monkeypatch):
    monkeypatch.setattr(address_space, "_HIGH", address_space._LOW + 64 * 1024)
    small = simulate.Memory()
    kept = bytearray(40)
    where = small.address_of(kept)[0]
    seen = set()
    for _ in range(500):
        address, region = small.address_of(bytearray(100))
        assert not where - 100 < address < where + 40
        assert address + 100 <= address_space._HIGH and region.size == 100
        seen.add(address)
    assert len(seen) < 500 and small.address_of(kept)[0] == where
    with pytest.raises(MemoryError, match="no 70.* bytes left"):
        small.address_of(bytearray(70_000))


def test_gc_counts_the_live_buffers():
    before = gc.mem_alloc()
    buf = bytearray(10_000)
    ptr8(buf)
    assert gc.mem_alloc() - before == 10_000
    assert gc.mem_free() + gc.mem_alloc() == 0x20000000
    del buf
    assert gc.mem_alloc() == before


# Viper's static types, as far as they show at run time.


def test_int_converts_as_vipers_does():
    @micropython.viper
    def whole(value) -> int:
        return int(value)

    assert whole(True) == 1 and whole((1 << 32) - 3) == -3
    for value, kind in (("5", "str"), (1.9, "float"), (None, "NoneType"), (b"7", "bytes")):
        with pytest.raises(TypeError, match=f"can't convert {kind} to int"):
            whole(value)


def test_results_are_of_the_annotated_type():
    @micropython.viper
    def nothing() -> int:
        pass

    @micropython.viper
    def no_answer() -> bool:
        pass

    @micropython.viper
    def truth(value: int) -> bool:
        return value

    @micropython.viper
    def pointer(buf):
        return ptr8(buf)

    assert nothing() == 0 and type(nothing()) is int and no_answer() is False
    with pytest.raises(TypeError, match="return expected 'bool' but got 'int'"):
        truth(2)
    with pytest.raises(TypeError, match="return expected 'object' but got 'ptr8'"):
        pointer(b"ab")


def test_unsigned_and_pointer_parameters_are_converted():
    @micropython.viper
    def top(value: simulate.uint) -> int:
        return int(value >> 28)

    @micropython.viper
    def second(buf: ptr16) -> int:
        return buf[1]

    assert top(-1) == 15 and second(b"\1\2\3\4") == 0x403
    with pytest.raises(TypeError, match="unknown type 'float'"):

        @micropython.viper
        def half(value: float):
            pass


def test_a_pointer_is_stored_compared_and_tested_only_as_an_int():
    pointer = ptr32(bytearray(8))
    with pytest.raises(TypeError, match="can't store 'ptr32'"):
        pointer[0] = pointer
    with pytest.raises(TypeError, match="can't store 'object'"):
        pointer[0] = "1"
    with pytest.raises(TypeError, match="can't implicitly convert 'ptr32' to 'bool'"):
        bool(pointer)
    with pytest.raises(TypeError, match="can't compare 'ptr32'"):
        pointer == 5  # noqa: B015


def test_what_viper_miscompiles_is_refused():
    outer = 0

    def default(a, b=1):
        pass

    def star(*a):
        pass

    def keyword_only(*, a):
        pass

    def generator():
        yield

    async def coroutine():
        pass

    def closure(a):
        return lambda: a

    def store():
        nonlocal outer
        outer = 5

    reasons = {
        default: "positional parameters only",
        star: "positional parameters only",
        keyword_only: "positional parameters only",
        generator: "no generators",
        coroutine: "no async def",
        closure: "cannot use its variables: a",
        store: "raw word in nonlocal outer",
    }
    for function, reason in reasons.items():
        for _ in range(2):
            with pytest.raises(simulate.Miscompiled, match=rf"{function.__name__}\(\).*{reason}"):
                micropython.viper(function)
    assert outer == 0


# Scheduler and heap lock


def test_schedule_waits_for_the_end_of_viper():
    order = []
    buf = bytearray(2)

    @micropython.viper
    def verb():
        pointer = ptr8(buf)
        pointer[0] = 1
        pointer[1] = 2
        order.append("verb")

    def hard():
        micropython.schedule(order.append, "soft")
        order.append("hard")

    replay(lambda: (verb, hard, lambda: None), "interrupts: 0*1 1")
    assert order == ["hard", "verb", "soft"]
    micropython.schedule(order.append, "at once")
    assert order[3:] == ["at once"]


def test_schedule_runs_where_viper_calls_bytecode():
    order = []
    buf = bytearray(4)

    class Sized:
        def __len__(self):
            order.append("len")
            return 3

    def plain():
        order.append("plain")
        if not again:
            again.append(1)
            micropython.schedule(order.append, "soft in plain")
        order.append("plain's end")

    @micropython.viper
    def nested():
        ptr8(buf)[2] = 1

    @micropython.viper
    def verb():
        pointer = ptr8(buf)
        pointer[0] = 1
        nested()
        order.append("builtin")  # no bytecode
        call()
        pointer[1] = 1
        order.append("verb")

    def unwatched():
        before = sys.getprofile()
        verb()
        assert sys.getprofile() is before

    def hard():
        for name in ("soft 1", "soft 2"):
            micropython.schedule(order.append, name)
        nested()
        min(1, 2, key=lambda each: each)  # plain, and no boundary in a hard handler
        order.append("hard")

    for point, calls, expected in (
        (0, plain, "hard, builtin, soft 1, soft 2, plain, soft in plain, plain's end, verb"),
        (1, partial(len, Sized()), "hard, builtin, soft 1, soft 2, len, verb"),
        (2, plain, "builtin, plain, soft in plain, plain's end, hard, verb, soft 1, soft 2"),
    ):
        order.clear()
        again, call = [], calls
        replay(lambda: (unwatched, hard, lambda: None), f"interrupts: 0*{point} 1")
        assert ", ".join(order) == expected, point


def test_nothing_watches_where_nothing_is_queued():
    seen = []

    def plain():
        seen.append(sys.getprofile())

    @micropython.viper
    def verb():
        plain()
        micropython.schedule(seen.append, "soft")
        plain()

    verb()
    assert seen == [None, "soft", None]


def test_a_scheduled_function_runs_in_no_other():
    order = []

    def first(arg):
        micropython.schedule(order.append, "second")
        plain()
        order.append("first")

    def plain():
        order.append("plain")

    micropython.schedule(first, None)
    assert order == ["plain", "first", "second"]


def test_a_ninth_scheduled_function_is_refused():
    @micropython.viper
    def fill(count: int):
        for _ in range(count):
            micropython.schedule(done.append, 1)

    done = []
    with pytest.raises(RuntimeError, match="schedule queue full"):
        fill(9)
    assert done == [1] * 8


def test_heap_locks_nest():
    assert micropython.heap_lock() is None and micropython.heap_lock() is None
    assert micropython.heap_unlock() == 1 and micropython.heap_unlock() == 0
    with pytest.raises(simulate.SimulationError, match="without heap_lock"):
        micropython.heap_unlock()


# What real MicroPython says to the same calls, below.
CALLS = """
import micropython
def outer():
    a, b = 1, 2
    @micropython.viper
    def two_cells(x: int, y) -> int:
        return int(x) + int(a) + int(b)
    @micropython.viper
    def truth(x) -> bool:
        return int(x) > 1
    return two_cells, truth
f, truth = outer()
def attempt(call):
    try:
        print(call())
    except Exception as error:
        print(type(error).__name__, error)
attempt(lambda: f(1))
attempt(lambda: f(1, 2, 3))
attempt(lambda: f(x=1, y=2))
attempt(lambda: f('1', 2))
attempt(lambda: f(None, 2))
attempt(lambda: f(b'1', 2))
attempt(lambda: f([], 2))
attempt(lambda: f(4, 2))
attempt(lambda: f(True, 2))
attempt(lambda: f({}, 2))
attempt(lambda: f(1.5, 2))
@micropython.viper
def byte(x) -> int:
    return ptr8(x)[0]
for x in (b'a', bytearray(b'b'), memoryview(b'abc')[2:], 'd', None, [1], 1.5):
    attempt(lambda: byte(x))
@micropython.viper
def nothing(x) -> int:
    pass
attempt(lambda: nothing(1))
attempt(lambda: nothing())
attempt(lambda: (micropython.heap_lock(), micropython.heap_unlock()))
attempt(lambda: truth(1))
attempt(lambda: truth(3))
"""


def test_viper_answers_as_real_micropython_does(micropython, capsys):
    exec(CALLS, {})
    said = capsys.readouterr().out
    assert said.count("TypeError") == 13 and said == micropython(CALLS)


def test_an_int_argument_is_cut_to_32_bits():
    @micropython.viper
    def same(value: int) -> int:
        return value

    assert same((1 << 32) + 5) == 5 and same(0xFFFFFFFE) == -2


def test_an_int_that_a_chip_would_allocate_is_an_error():
    @micropython.viper
    def value(shift: int) -> int:
        return 1 << shift

    assert value(29) == 1 << 29
    with pytest.raises(simulate.OutOfSmallInts, match=r"value\(\) returned 1073741824"):
        value(30)


def test_time_stands_still_once_set():
    try:
        simulate.clock.set(5_000_000)
        assert time.ticks_us() == 5_000_000 and time.ticks_ms() == 5000
        time.sleep_ms(3)
        assert time.ticks_us() == 5_003_000
        simulate.clock.advance(7)
        assert time.ticks_diff(time.ticks_us(), 5_003_000) == 7
        assert time.ticks_diff(5, (1 << 30) - 5) == 10 == time.ticks_add((1 << 30) - 5, 15)
    finally:
        simulate.clock.run()
    start = time.ticks_us()
    time.sleep_us(50)
    assert time.ticks_diff(time.ticks_us(), start) >= 50


class TinyRing:
    """Two one-byte slots, right or with its two stores in the wrong order."""

    def __init__(self, right):
        self.block = block = bytearray(8)  # words: head, slot

        @micropython.viper
        def put(value: int):
            words = ptr32(block)
            if right:
                words[1] = value
                words[0] = 1
            else:
                words[0] = 1
                words[1] = value

        self.put = put

    def take(self):
        return ptr32(self.block)[1] if ptr32(self.block)[0] else None


def ring_scenario(right):
    def scenario():
        ring = TinyRing(right)
        seen = []

        def check():
            if seen[0] not in (None, 7):
                raise AssertionError(str(seen))

        return lambda: ring.put(7), lambda: seen.append(ring.take()), check

    return scenario


def test_the_sweep_finds_a_store_in_the_wrong_order():
    assert interrupts(ring_scenario(True), merge=False).points == 2
    with pytest.raises(ExplorationError) as caught:
        interrupts(ring_scenario(False), merge=False)
    lines = str(caught.value).splitlines()
    assert lines[0] == "scenario: the check failed: AssertionError('[0]')"
    assert lines[1] == '  replay(scenario, "interrupts: 0*1 1*2 0")'
    assert [line.split(None, 3)[1:3] for line in lines[2:]] == [
        ["call", "writes"],
        ["handler", "1"],
        ["handler", "1"],
        ["call", "writes"],
    ]
    assert "writes bytearray of 8 bytes + 4 = 7  test_simulated.py:" in lines[5]


def test_a_sweep_that_visits_nothing_fails():
    def idle():
        return lambda: None, lambda: None, lambda: None

    with pytest.raises(ExplorationError, match="idle: the call accesses no simulated memory"):
        interrupts(idle, merge=False)


def test_a_failure_shows_the_accesses_up_to_an_error_in_the_call():
    def overrun():
        pointer = ptr8(bytearray(2))

        def call():
            pointer[0] = 1
            pointer[2] = 1

        return call, lambda: None, lambda: None

    with pytest.raises(ExplorationError, match="OutOfBounds.*byte 2 of") as caught:
        interrupts(overrun, merge=False)
    assert [line.split()[1:3] for line in str(caught.value).splitlines()[2:]] == [
        ["call", "writes"]
    ] * 2


def test_a_call_that_catches_what_went_wrong_still_fails():
    def careless(wrong):
        buf = bytearray(2)

        def call():
            try:
                ptr8(buf)[wrong] = 1
            except Exception:
                pass

        return call, lambda: {}[wrong], lambda: None

    with pytest.raises(ExplorationError, match="KeyError"):
        interrupts(lambda: careless(1), merge=False)
    with pytest.raises(ExplorationError, match="OutOfBounds"):
        interrupts(lambda: (careless(2)[0], lambda: None, lambda: None), merge=False)


def test_a_call_that_never_ends_fails(monkeypatch):
    monkeypatch.setattr(runs, "_ACCESSES_MAX", 1000)

    def waiting():
        flag = bytearray(1)

        def call():
            while not ptr8(flag)[0]:
                pass

        return call, lambda: None, lambda: None

    with pytest.raises(ExplorationError, match="waiting.*not ended after 1000 accesses") as caught:
        interrupts(waiting, merge=False)
    assert len(str(caught.value).splitlines()) < 300


def test_the_sweep_leaves_no_hook_behind():
    interrupts(ring_scenario(True), merge=False)
    assert memory.hook is None
    with pytest.raises(ExplorationError):
        interrupts(ring_scenario(False), merge=False)
    assert memory.hook is None
