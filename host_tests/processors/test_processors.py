"""The scenarios on other processors' instructions, in QEMU."""

import os
from pathlib import Path

import pytest
from conftest import DEVICE, PACKAGE
from qemu import MACHINES, run, run_from_memory
from ringlane_host.boards.targets import BoardError, Target

SETS = sorted(path.stem for path in DEVICE.glob("*_scenarios.py"))
USED = [DEVICE / f"{name}.py" for name in ("harness", "payload")]
# One after another, as getting the modules onto the board takes longer than to run them.
PROGRAM = f"""
import gc, harness, sys
for name in {SETS}:
    print("set", name)
    harness.run(__import__(name))
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


@pytest.mark.parametrize("form", [".mpy", ".py"])
def test_every_scenario_under_a_locked_heap(board, form, tmp_path, visited):
    assert board.platform == "qemu" and board.architecture
    if form == ".py":
        board.architecture = None  # the board compiles
    board.stage(tmp_path, PACKAGE, *DEVICE.glob("*_scenarios.py"), *USED)
    status, printed = run_from_memory(board, tmp_path, PROGRAM, timeout=600)
    assert status == 0, printed
    lines = printed.splitlines()
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
