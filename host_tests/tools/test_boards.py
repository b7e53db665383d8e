"""The files in boards/ against the boards themselves, and what is said of a wrong one."""

import ast
import json
import re

import pytest
from conftest import DEVICE, ROOT
from ringlane_host import boards

FACTS = """
import gc, json, micropython, sys
depth = 0
def fill(_):  # while it runs, what it schedules has to wait
    global depth
    try:
        while depth < 100:
            micropython.schedule(id, 0)
            depth += 1
    except RuntimeError:
        pass
micropython.schedule(fill, 0)
while not depth:
    pass
gc.collect()
print(json.dumps({
    "scheduler": depth,
    "int": sys.maxsize,
    "threads": getattr(sys.implementation, "_thread", "unsafe"),
    "platform": sys.platform,
    "machine": sys.implementation._machine,
    "arch": sys.implementation._mpy >> 10 & 15,
    "heap": gc.mem_alloc() + gc.mem_free(),
}))
"""

# Both clocks around each other: the register must lie between.
CLOCKS = """
from machine import mem32
from time import sleep_us, ticks_us
for i in range(5):
    print(ticks_us(), mem32[%d] & 0x3FFFFFFF, ticks_us())
    sleep_us(1000)
"""

# A stand-in for another board's sys and machine, as far as ringlane asks them.
AS_ON = """
import sys
class Implementation:
    name = "micropython"
    _machine = %r
    _mpy = 0  # its fence is not compiled here
class Sys:
    platform = %r
    implementation = Implementation
    modules = sys.modules
class Machine:
    disable_irq = enable_irq = None
sys.modules["sys"], sys.modules["machine"] = Sys, Machine
import ringlane, ringlane.facts
from ringlane.clock import default
facts = ringlane.facts
clock = default()
print([clock.name, clock.hz, clock.register])
print([facts.CPU_ID, ringlane.fenced])
print([facts.CYCLES, facts.EXCEPTION, facts.RAM_END])
"""


@pytest.fixture(scope="module")
def bare_pico(uf2):
    """A booted RP2040 with nothing on it."""
    emulated = pytest.importorskip(
        "ringlane_host.boards.emulated", reason="no rp2040py: pip install rp2040py"
    )
    with emulated.EmulatedPico(uf2) as pico:
        yield pico


def check(board, facts):
    assert board.platform == facts["platform"]
    assert boards.ARCHES.index(board.arch) == facts["arch"]
    assert board.heap <= facts["heap"] < board.heap * 1.1
    assert board.scheduler == facts["scheduler"]
    assert 1 << board.small_int == facts["int"] + 1
    assert board.gil == (facts["threads"] == "GIL")


def test_the_virtual_board_is_as_its_file_says(micropython):
    facts = json.loads(micropython(FACTS))
    if facts["arch"] != boards.ARCHES.index("x64"):
        pytest.skip("this micropython is not for x86-64, as boards/unix.toml says")
    check(boards.load("unix"), facts)


def test_the_pico_is_as_its_file_says(bare_pico):
    board = boards.load("rpi_pico")
    facts = json.loads(bare_pico.exec(FACTS))
    check(board, facts)
    assert facts["machine"] == f"{board.name} with {board.mcu}"
    assert bare_pico.exec(f"from machine import mem32; print(mem32[{board.cpu_id}])") == "0\n"
    led = bare_pico.exec("from machine import Pin\nprint(Pin('LED'))")
    assert f"GPIO{board.pins['led']}," in led


def test_the_clock_register_of_the_pico_counts_what_ticks_us_does(bare_pico):
    board = boards.load("rpi_pico")
    assert board.clock.hz == 1_000_000
    lines = bare_pico.exec(CLOCKS % board.clock.register).splitlines()
    assert len(lines) == 5
    for line in lines:
        before, register, after = map(int, line.split())
        assert before <= register <= after


@pytest.mark.parametrize("name", boards.names())
def test_ringlane_takes_the_facts_of_the_file(micropython, name):
    board = boards.load(name)
    program = AS_ON % (f"{board.name} with {board.mcu}", board.platform)
    assert [ast.literal_eval(line) for line in micropython(program).splitlines()] == [
        [board.clock.name, board.clock.hz, board.clock.register],
        [board.cpu_id, board.fence != "none"],
        [board.cycles, board.exception, board.ram_end],
    ]


def test_fences_are_where_several_cores_reorder():
    """What fence.py compiles goes by the processor, so a file's fence must be its own."""
    for board in map(boards.load, boards.names()):
        fence = {"armv7emsp": "dmb", "rv32imc": "fence"}.get(board.arch, "none")
        assert board.fence == ("none" if board.cores == 1 else fence), board


def test_readme_says_which_handlers_share_a_context():
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
    said = re.search(r"on rp2 all have: those of (.*?) and (\w+)\.", readme)
    for board in map(boards.load, boards.names()):
        if board.port == "rp2":
            assert board.contexts == [[*said[1].split(", "), said[2]]]
        elif board.port == "esp32":  # all soft: one context with the tasks
            assert (board.handlers, len(board.contexts)) == ("soft", 1)


# What stands there by its meaning: the words for a reader, "none", and the unit of a clock.
SELF_EVIDENT = re.compile(r'(port|flash) = |hz = 1_000_000$|offset = 0$|variant = ""$')


def test_every_fact_has_its_source_beside_it():
    facts = 0
    for name in set(boards.names()) - {"unix"}:
        table, above = "", ""
        for line in (boards.FOLDER / f"{name}.toml").read_text().splitlines():
            table = line if line.startswith("[") else table
            fact = " = " in line and not line.startswith("#") and not SELF_EVIDENT.match(line)
            if fact and (table, line[:7]) != ("[clock]", "name = "):  # its register has one
                facts += 1
                assert re.search(r"  # .{10}", line) or above.startswith("# "), (name, line)
            above = line
    assert facts > 200


def test_a_board_is_known_by_what_its_firmware_says():
    said = [f"{board.name} with {board.mcu}" for board in map(boards.load, boards.names())]
    assert len({*said}) == len(said) >= 11


def test_the_tests_use_the_pins_of_the_file():
    """The program on the chip has its own copy."""
    source = (DEVICE / "meetings.py").read_text()
    values = {name: int(value) for name, value in re.findall(r"^([A-Z]+) = (\d+)$", source, re.M)}
    pins = boards.load("rpi_pico").pins
    assert (values["MARKER"], values["HANDLER"]) == (pins["marker"], pins["handler"])


def test_every_file_loads():
    for name in boards.names():
        assert boards.load(name).name


def test_an_unknown_board_is_named_with_those_there_are():
    with pytest.raises(LookupError, match="no board 'rpi_pic0' .* rpi_pico, .*unix"):
        boards.load("rpi_pic0")


RIGHT = (boards.FOLDER / "rpi_pico.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"armv6m"', '"armv6n"', "arch must be one of x86, x64, .*, not 'armv6n'"),
        ('"armv6m"', "6", "arch must be a string, not 6"),
        ('fence = "none"', 'fence = "mfence"', "fence must be one of none, dmb, .* not 'mfence'"),
        ('"systick"', '"tsc"', "cycles must be one of none, systick, .*, not 'tsc'"),
        ("ram_end = 0x2004_2000", "ram_end = -1", "ram_end must be 0 or more, not -1"),
        ("gil = false", "gil = 0", "gil must be true or false, not 0"),
        ('tool = "uf2"', 'tool = "dfu"', "firmware.tool must be one of uf2, .*, not 'dfu'"),
        ('[["Pin"', '["Pin", ["Pin"', "contexts must be a list, not 'Pin'"),
        ('"hard"', '"firm"', "handlers must be one of hard, soft, thread, not 'firm'"),
        ("cores = 2", "cores = 0", "cores must be 1 or more, not 0"),
        ("cores = 2", "cores = true", "cores must be a whole number, not True"),
        ("cores = 2", "", "no cores"),
        ("cores = 2", "cores = 2\ncolour = 'red'", "unknown key colour"),
        ("cores = 2", "cores = ", "Invalid value"),
        ("heap = 240_000", "heap = -1", "heap must be 1 or more, not -1"),
        ('"RP2040"', '""', "mcu is empty"),
        ("hz = 1_000_000", "hz = 0", "clock.hz must be 1 or more, not 0"),
        ("hz = 1_000_000", "hz = 1e6", "clock.hz must be a whole number, not 1000000.0"),
        ("hz = 1_000_000", "", "no clock.hz"),
        ("hz = 1_000_000", "hz = 1\nmhz = 1", "unknown key clock.mhz"),
        ("0x4005_4028", "0x4005_4029", "clock.register must be a multiple of 4, not 0x40054029"),
        ("0x4005_4028", "-4", "clock.register must be 0 or more, not -4"),
        ("[clock]", "[watch]", "unknown key watch"),
        ("led = 25", "led = 'LED'", "pins.led must be a whole number, not 'LED'"),
        ("led = 25", "led = -1", "pins.led must be 0 or more, not -1"),
    ],
)
def test_a_wrong_file_is_told_by_its_key_and_value(tmp_path, monkeypatch, old, new, error):
    assert RIGHT.count(old) == 1
    (tmp_path / "wrong.toml").write_text(RIGHT.replace(old, new))
    monkeypatch.setattr(boards, "FOLDER", tmp_path)
    with pytest.raises(boards.BoardFileError, match=f"^wrong.toml: {error}"):
        boards.load("wrong")
