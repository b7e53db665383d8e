"""What is known of each board: the files in boards/.

board = load("rpi_pico")
board.arch, board.clock.register  # "armv6m", 0x40054028
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_origin, get_type_hints

# In the clone, and in what was installed from it.
_HERE = Path(__file__).resolve()
FOLDER = _HERE.parents[3] / "boards"
if not (FOLDER / "rpi_pico.toml").is_file():
    FOLDER = _HERE.parents[1] / "board_files"

# As mpy-cross calls them, each at its number in sys.implementation._mpy >> 10.
ARCHES = (
    "none",
    "x86",
    "x64",
    "armv6",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
    "rv32imc",
    "rv64imc",
)
HANDLERS = ("hard", "soft", "thread")
FENCES = ("none", "dmb", "fence")
COUNTERS = ("none", "systick", "dwt", "ticks_cpu")
TOOLS = ("uf2", "esptool", "none")


class BoardError(RuntimeError):
    """A board failed, or the way to it, or was asked for what it has not; the text says what."""


class BoardFileError(ValueError):
    """A board's file is wrong; the text names the file, the key and the value."""


@dataclass(frozen=True)
class Clock:
    """The clock that stamps messages by default: what ringlane.clock.default() returns."""

    name: str
    hz: int
    register: int  # address of the 32-bit register that counts, 0: time.ticks_us() is called


@dataclass(frozen=True)
class Peripherals:
    """What a simulated board has; a file without it describes a board that is not simulated.

    `gpio`: so many GPIOs, from 0. `input_only`: those that are no outputs. `adc`: those with an
    ADC; on rp2 one more channel is the temperature. `timers`: numbered ones, 0: virtual ones only.
    `uarts`, `i2cs`, `spis`: how many.
    """

    gpio: int
    input_only: list[int]
    adc: list[int]
    timers: int
    uarts: int
    i2cs: int
    spis: int


@dataclass(frozen=True)
class Firmware:
    """Where MicroPython for it comes from and how it is flashed.

    `name`: as at micropython.org/download/<name>; `variant`: of that build, "" for the plain one.
    `tool`: "uf2", a file copied to the drive `target`; "esptool", which writes at `offset` of the
    chip `target`; or "none".
    """

    name: str
    variant: str
    tool: str
    target: str
    offset: int


@dataclass(frozen=True)
class Board:
    """One board.

    `name` and `mcu` are what its firmware says as sys.implementation._machine: "NAME with MCU".
    `platform` is its sys.platform, `arch` that of its .mpy files, `small_int` how many bits an int
    has, sign included, before it is an object. `cores`: how many can run Python at once, and `gil`
    whether threads take turns. `handlers`: "hard" ones run at any instruction, "soft" ones are run
    by the scheduler, and where there are none a "thread" stands in for an interrupt. `contexts`:
    groups of peripherals whose handlers do not interrupt each other on one core. `scheduler`: how
    many soft handlers wait before one is lost. `cpu_id`: the register that says which core reads
    it, 0: none. `fence`: what orders one core's stores for another: "none", as nothing is needed,
    "dmb", or RISC-V's "fence". `cycles`: what counts cycles: "none", ARM's "systick" or "dwt", or
    time."ticks_cpu"(). `exception`: the register whose low 9 bits are not 0 in a hard handler, 0:
    none. `ram_end`: where the RAM ends that a reset leaves as it is, 0: not known so. `heap`:
    bytes, at the least. `flash` says how MicroPython gets onto it. `pins`: GPIO numbers by what
    they are for.
    """

    name: str
    port: str
    platform: str
    mcu: str
    arch: str
    small_int: int
    cores: int
    gil: bool
    handlers: str
    contexts: list[list[str]]
    scheduler: int
    cpu_id: int
    fence: str
    cycles: str
    exception: int
    ram_end: int
    heap: int
    flash: str
    clock: Clock
    firmware: Firmware
    pins: Mapping[str, int]
    peripherals: Peripherals | None = None


def names() -> list[str]:
    """Return the names that load() knows."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Board:
    """Return the board of boards/<name>.toml.

    Raises LookupError if there is no such file, BoardFileError if something in it is wrong.
    """
    if name not in names():
        raise LookupError(f"no board {name!r} in {FOLDER}; there are {', '.join(names())}")
    path = FOLDER / f"{name}.toml"
    try:
        return parse(path.read_text())
    except BoardFileError as error:
        raise BoardFileError(f"{path.name}: {error}") from None


def parse(text: str) -> Board:
    """Return the board that `text`, TOML, describes. Raises BoardFileError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BoardFileError(str(error)) from None
    peripherals = table.pop("peripherals", None)
    _keys(table, Board, "")
    _keys(table["clock"], Clock, "clock.")
    _keys(table["firmware"], Firmware, "firmware.")
    if peripherals is not None:
        _type("peripherals", peripherals, dict)
        _keys(peripherals, Peripherals, "peripherals.")
        for key, value in peripherals.items():
            for each in value if isinstance(value, list) else [value]:
                _type(f"peripherals.{key}", each, int)
                _at_least(f"peripherals.{key}", each, 0)
        table["peripherals"] = Peripherals(**peripherals)
    board = Board(
        **{
            **table,
            "clock": Clock(**table["clock"]),
            "firmware": Firmware(**table["firmware"]),
        }
    )
    _one_of("arch", board.arch, ARCHES[1:])
    _one_of("handlers", board.handlers, HANDLERS)
    _one_of("fence", board.fence, FENCES)
    _one_of("cycles", board.cycles, COUNTERS)
    _one_of("firmware.tool", board.firmware.tool, TOOLS)
    _at_least("firmware.offset", board.firmware.offset, 0)
    _at_least("small_int", board.small_int, 31)
    _at_least("scheduler", board.scheduler, 1)
    for key in ("cpu_id", "exception", "ram_end"):
        _at_least(key, getattr(board, key), 0)
    for group in board.contexts:
        _type("contexts", group, list)
        for name in group:
            _type("contexts", name, str)
    _at_least("cores", board.cores, 1)
    _at_least("heap", board.heap, 1)
    _at_least("clock.hz", board.clock.hz, 1)
    _at_least("clock.register", board.clock.register, 0)
    if board.clock.register % 4:
        raise BoardFileError(
            f"clock.register must be a multiple of 4, not {board.clock.register:#x}"
        )
    for pin, number in board.pins.items():
        _type(f"pins.{pin}", number, int)
        _at_least(f"pins.{pin}", number, 0)
    return board


def _keys(table: dict[str, object], kind: type, prefix: str) -> None:
    """Check that `table` has the fields of `kind`, of their types, and no more."""
    wanted = get_type_hints(kind)
    for key in table:
        if key not in wanted:
            raise BoardFileError(f"unknown key {prefix}{key}")
    for key, expected in wanted.items():
        if key == "peripherals":
            continue  # a board that is not simulated has none
        if key not in table:
            raise BoardFileError(f"no {prefix}{key}")
        plain = list if get_origin(expected) is list else dict
        _type(prefix + key, table[key], expected if expected in (str, int, bool) else plain)


def _type(key: str, value: object, expected: type) -> None:
    if type(value) is not expected:  # a bool is no number here
        kind = {
            str: "a string",
            int: "a whole number",
            bool: "true or false",
            list: "a list",
            dict: "a table",
        }[expected]
        raise BoardFileError(f"{key} must be {kind}, not {value!r}")
    if value == "" and key != "firmware.variant":
        raise BoardFileError(f"{key} is empty")


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BoardFileError(f"{key} must be one of {', '.join(allowed)}, not {value!r}")


def _at_least(key: str, value: int, low: int) -> None:
    if value < low:
        raise BoardFileError(f"{key} must be {low} or more, not {value}")


__all__ = [
    "ARCHES",
    "HANDLERS",
    "Board",
    "BoardError",
    "BoardFileError",
    "Clock",
    "Firmware",
    "Peripherals",
    "load",
    "names",
    "parse",
]
