"""The scenarios on other processors' instructions, in QEMU."""

import os
from pathlib import Path

import pytest
from conftest import DEVICE, PACKAGE
from qemu import MACHINES, run, run_from_memory
from ringlane_host.boards.targets import BoardError, Target

SETS = sorted(path.stem for path in DEVICE.glob("*_scenarios.py"))
USED = [DEVICE / f"{name}.py" for name in ("harness", "payload")]
# QEMU's clock of the Cortex-M boards sometimes runs backwards.
NOT_HERE = ["the_default_clock_measures_microseconds"]
# One after another, as getting the modules onto the board takes longer than to run them.
PROGRAM = f"""
import gc, harness, sys
for name in {SETS}:
    print("set", name)
    module = __import__(name)
    harness.run(module, [each for each in dir(module) if each not in {NOT_HERE}])
    del sys.modules[name]
"""


@pytest.fixture(params=MACHINES)
def board(request):
    """A board in QEMU, with its processor's name."""
    folder = os.environ.get("RINGLANE_FIRMWARE")
    firmware = Path(folder or "") / f"{request.param}.elf"
    if not folder or not firmware.is_file():
        pytest.skip(
            f"no firmware {firmware.name}: build MicroPython's port for QEMU, as "
            "host_tests/processors/qemu.py says, and make test FIRMWARE=its folder"
        )
    with run(firmware) as port:
        yield Target(port, "QEMU")


FENCED = "import ringlane; ringlane.fenced = True"
# The code of a function in assembler is where its object's third word says.
OF_FENCE = """
import uctypes
from machine import mem32
made = sys.modules["ringlane.fence"].fence
print(ringlane.fenced, ringlane.engine, made(), uctypes.bytes_at(mem32[id(made) + 8], 16).hex())
"""
DMB, FENCE_RW_RW = "bff35f8f", "0f003003"


@pytest.mark.parametrize("form", [".mpy", ".py", ".mpy with fences"])
def test_every_scenario_under_a_locked_heap(board, form, tmp_path, visited):
    assert board.platform == "qemu" and board.architecture
    if form == ".py":
        board.architecture = None  # the board compiles
    board.stage(tmp_path, PACKAGE, *DEVICE.glob("*_scenarios.py"), *USED)
    program = f"{FENCED}\n{PROGRAM}\n{OF_FENCE}" if "fences" in form else PROGRAM
    status, printed = run_from_memory(board, tmp_path, program, timeout=600)
    assert status == 0, printed
    lines = printed.splitlines()
    if "fences" in form:
        instruction = FENCE_RW_RW if board.architecture == "rv32imc" else DMB
        fenced, engine, returned, code = lines.pop().split()
        assert (fenced, engine, returned) == ("True", "direct", "0")
        # An ARM without Thumb is none of those that need one: its fence() does nothing.
        assert (instruction in code) == (board.architecture != "armv6"), code
    assert [line[4:] for line in lines if line.startswith("set ")] == SETS
    rest = [line for line in lines if not line.startswith("set ")]
    assert [line for line in rest if not line.endswith(" ok")] == []
    visited(scenarios=len(rest))
    assert len(rest) > 200


def test_a_firmware_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BoardError, match="x.elf: a firmware for QEMU is called MPS2_AN385.elf, "):
        with run("x.elf"):
            pass
    with pytest.raises(BoardError, match="no firmware file .*VIRT_RV32.elf"):
        with run(tmp_path / "VIRT_RV32.elf"):
            pass
