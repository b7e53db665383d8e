"""The clocks of chips that are not here: the registers they read and set, by the datasheets."""

import sys
import time
from array import array
from types import SimpleNamespace

import pytest
import ringlane
from conftest import PACKAGE
from ringlane import clock, cpu_clock
from ringlane_host.simulate import memory

SYSTICK = 0xE000E010  # control, reload, current value: ARMv6-M and ARMv8-M
DEMCR = 0xE000EDFC
DWT = 0xE0001000  # control, cycle count
RP2040 = "Raspberry Pi Pico with RP2040"
RP2350 = "Raspberry Pi Pico2 with RP2350"
RISCV = "Raspberry Pi Pico2 with RP2350-RISCV"
ESP32 = "Generic ESP32 module with ESP32"


def facts_of(its_sys):
    """Return the facts that are stamped into port.py and facts.py where sys is that one."""
    names = {"sys": its_sys}
    for module in ("port", "facts"):
        source = (PACKAGE / f"{module}.py").read_text()
        begin = source.index("#: facts(")
        exec(source[begin : source.index("# stamped.", begin)], names)
    return names


@pytest.fixture
def board(monkeypatch):
    """A function that lets clock.py run on a chip of that description."""

    def be(machine):
        platform = "rp2" if machine.startswith("Raspberry") else "esp32"
        its_sys = SimpleNamespace(
            platform=platform, implementation=SimpleNamespace(_machine=machine)
        )
        facts = facts_of(its_sys)
        monkeypatch.setattr(clock, "REGISTER", facts["REGISTER"])
        monkeypatch.setattr(cpu_clock, "CYCLES", facts["CYCLES"])
        monkeypatch.setattr(cpu_clock, "sys", its_sys)
        monkeypatch.setitem(sys.modules, "machine", SimpleNamespace(freq=lambda: 150_000_000))
        monkeypatch.setattr(clock, "_default", None)

    return be


def word(registers, offset=0):
    return int.from_bytes(registers[offset : offset + 4], "little")


@pytest.mark.parametrize("machine, register", [(RP2040, 0x40054028), (RP2350, 0x400B0028)])
def test_an_rp2_reads_its_timer(board, machine, register):
    board(machine)
    default = clock.default()
    assert (default.name, default.hz, default.register) == ("timer", 1_000_000, register)
    assert clock.default() is default


@pytest.mark.parametrize("channel", [ringlane.Channel, ringlane.MulticastChannel])
def test_verbs_read_the_register_and_do_not_call_ticks(channel):
    register = memoryview(memory.device(DWT, 8))[4:]
    counted = ringlane.Clock("c", 1_000_000, time.ticks_ms, register=DWT + 4)
    counted.ticks = None  # to call it is an error
    ch = channel(2, slot_size=4, senders=2, clock=counted)
    end = ch.add_receiver() if channel is ringlane.MulticastChannel else ch
    other = ch.add_sender()
    buf, words = bytearray(4), array("I", [0])
    takes = [lambda: end.recv(buf)[2], lambda: end.recv_word()[2]]
    for take in takes:
        register[:] = (1000).to_bytes(4, "little")
        ch.send_word(1, ringlane.LOW)
        register[:] = (1001).to_bytes(4, "little")
        other.send(b"1234", ringlane.LOW)  # two senders' messages: the older one first
        register[:] = (1500).to_bytes(4, "little")
        assert take() == 500 and end.timestamp() == 1000
        assert take() == 499 and end.timestamp() == 1001
    ch.send_word(1, ringlane.LOW)
    assert end.recv_words(words) == 1 and end.timestamp() == 1500


def test_an_esp32_calls_ticks_us(board):
    board(ESP32)
    default = clock.default()
    assert (default.name, default.register, default.ticks) == ("ticks_us", 0, time.ticks_us)


def test_an_rp2040_counts_cycles_down_by_systick(board):
    registers = memory.device(SYSTICK, 12)
    registers[8:] = b"\x05\0\0\0"  # what was counted before
    board(RP2040)
    cycles = ringlane.cycles()
    assert (word(registers, 0), word(registers, 4), word(registers, 8)) == (5, 0xFFFFFF, 0)
    assert (cycles.hz, cycles.period, cycles.register) == (150_000_000, 1 << 24, 0)
    registers[8:] = (0xFFFFFF - 1000).to_bytes(4, "little")
    assert cycles.ticks() == 1000


@pytest.mark.parametrize(
    "control, reload, count",
    [
        (5, 0xFFFFFF, 1234),
        (0x10005, 0xFFFFFF, 1234),  # it has wrapped
        (5, 0xFFFF, 0),  # what runs there is something else's
        (4, 0xFFFFFF, 0),  # it stands
        (1, 0xFFFFFF, 0),  # it counts by the reference clock
    ],
)
def test_an_rp2040s_systick_is_not_set_back_if_it_counts_cycles(board, control, reload, count):
    registers = memory.device(SYSTICK, 12)
    for offset, value in ((0, control), (4, reload), (8, 1234)):
        registers[offset : offset + 4] = value.to_bytes(4, "little")
    board(RP2040)
    ringlane.cycles()
    ran = control if count else 5
    assert [word(registers, offset) for offset in (0, 4, 8)] == [ran, 0xFFFFFF, count]


def test_an_rp2350_counts_cycles_by_its_dwt(board):
    trace = memory.device(DEMCR, 4)
    dwt = memory.device(DWT, 8)
    trace[:] = b"\x10\0\0\0"  # of another's: they stay
    dwt[:4] = b"\0\0\x40\0"
    board(RP2350)
    cycles = ringlane.cycles()
    assert word(trace) == 1 << 24 | 0x10 and word(dwt) == 0x400001
    assert (cycles.hz, cycles.period, cycles.register) == (150_000_000, 1 << 30, DWT + 4)
    dwt[4:] = (0xC0000005).to_bytes(4, "little")
    assert cycles.ticks() == 5  # of 32 bits the low 30
    ringlane.cycles()
    assert word(dwt, 4) == 0xC0000005  # a second clock does not set it back


def test_an_esp32_counts_cycles_by_ticks_cpu(board, monkeypatch):
    ticks_cpu = time.ticks_ms  # another than ticks_us
    monkeypatch.setattr(time, "ticks_cpu", ticks_cpu, raising=False)
    board(ESP32)
    cycles = ringlane.cycles()
    assert (cycles.hz, cycles.ticks) == (150_000_000, ticks_cpu)


def test_a_risc_v_core_has_no_counter_that_is_known(board):
    board(RISCV)
    with pytest.raises(ValueError, match="no cycle counter known on rp2"):
        ringlane.cycles()
