"""The guide to testing firmware, and the template: their tests pass as they are printed."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT

GUIDE = (ROOT / "lib" / "ringlane_host" / "README.md").read_text()
FILES = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", GUIDE, re.M | re.S)


def run(folder, *options):
    """Run the tests in a folder; return pytest's exit status and what it printed."""
    installed = {each.name for each in importlib.metadata.entry_points(group="pytest11")}
    plugin = [] if "ringlane" in installed else ["-p", "ringlane_host.plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *plugin, *options, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def passed(folder, *options):
    """Run the tests in a folder; return how many passed. Fails if one did not."""
    status, printed = run(folder, *options)
    assert not status, printed
    return int(re.search(r"(\d+) passed", printed)[1])


def test_the_guides_tests_pass_as_printed(tmp_path):
    assert GUIDE.count("```python") == len(FILES)
    for name, text in FILES:
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert passed(tmp_path) == GUIDE.count("def test_") + 1  # one runs on two boards


def test_the_guides_counter_without_its_mask_loses_a_press_where_the_guide_says(tmp_path):
    for name, text in FILES:
        if "counter" in name:
            lines = [line for line in text.splitlines() if "able_irq(" not in line]
            (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    status, printed = run(tmp_path)
    assert status and "1 failed" in printed, printed
    told = re.search(r"^    (Pin 2 handler.*)\n    (  to repeat it.*)$", GUIDE, re.M)
    place = r"(place |replay=)\d+"  # versions of CPython differ in their bytecodes
    assert re.sub(place, "", "\n".join(told.groups())) in re.sub(place, "", printed), printed


def test_the_first_program_of_the_readme_under_its_test(tmp_path):
    readme = (ROOT / "README.md").read_text()
    test = re.search(r"^    def test_.*?(?=^\S)", readme, re.M | re.S)[0]
    (tmp_path / "main.py").write_text(re.search(r"^```python\n(.*?)^```", readme, re.M | re.S)[1])
    (tmp_path / "test_main.py").write_text(textwrap.dedent(test))
    assert passed(tmp_path) == 1


def test_the_template_passes_as_it_is_copied(tmp_path):
    folder = shutil.copytree(ROOT / "firmware" / "template", tmp_path / "mine")
    assert passed(folder) == 3


def test_the_templates_workflow_passes(interpreter, tmp_path):
    folder = shutil.copytree(ROOT / "firmware" / "template", tmp_path / "mine")
    workflow = (folder / ".github" / "workflows" / "test.yml").read_text()
    options = re.search(r"^ +- run: pytest (.*)$", workflow, re.M)[1].split()
    assert passed(folder, *options) == 5  # a test looks at a channel: not from outside


ON_BOTH = {
    "main.py": """\
import asyncio
import helper
from machine import ADC, Pin
from ringlane import HIGH, Channel
ch = Channel(8, slot_size=4)
led = Pin(25, Pin.OUT)
adc = ADC(26)
Pin(2, Pin.IN).irq(lambda pin: ch.send_word(pin.value(), HIGH), hard=True)
async def main():
    while m := await ch.arecv_word():
        led.value(m[0])
        print("level", m[0], adc.read_u16() >> 12, helper.name)
if __name__ == "__main__":
    asyncio.run(main())
""",
    "lib/helper.py": 'name = "helped"\n',
    "test_it.py": """\
def test_edges(board):
    board.adc(26).set(0x7000)
    board.run()
    board.pin(25).value()
    board.pin(2).edges(4, every_us=5000)
    board.advance(ms=30)
    assert [level for _, level in board.pin(25).history] == [1, 0, 1, 0]
    assert board.log.count("level") == 4 and "7 helped" in board.log


def test_messages(board):
    board.run()
    assert board.channels[0].sent == []
""",
}


def test_one_test_on_the_simulated_and_on_the_emulated_pico(uf2, tmp_path):
    (tmp_path / "lib").mkdir()
    for name, text in ON_BOTH.items():
        (tmp_path / name).write_text(text)
    status, printed = run(tmp_path, "--ringlane-target=sim", f"--ringlane-target=rp2040:{uf2}")
    assert not status and "3 passed, 1 skipped" in printed, printed
    assert "an emulated Pico shows from outside no board.channels" in printed


FAULTY = """\
import time
from machine import Pin, Timer
led = Pin(25, Pin.OUT)
def on_tick(timer):
    led.toggle()
    text = "%d" % time.ticks_ms()
timer = Timer(period=10, hard=True, callback=on_tick)
print("begun")
time.sleep_ms(25)
raise ValueError("ended")
"""
# By what fails: the test, and what is printed of it.
FAILURES = {
    "a fault": (
        "board.advance(ms=15)",
        (
            "AllocationInHandler: Timer handler on_tick, main.py:6: formatting",
            "GP25 -> 1",
            "begun",
        ),
    ),
    "what the firmware raises": (
        "board.allow(AllocationInHandler); board.advance(ms=30)",
        ("main.py:10: ValueError", '> *raise ValueError\\("ended"\\)', "GP25 -> 0"),
    ),
    "a fault that the test has not seen": (
        "board._kernel.fault(AllocationInHandler, 'at the end')",
        ("AllocationInHandler: at the end",),
    ),
    "an assertion of the test": (
        "board.advance(ms=5); assert board.pin(25).value()",
        (r"<rpi_pico, simulated, at 5.000 ms>: what happened", "print  begun"),
    ),
    "a firmware that is not there, once": (
        "board.run('nope.py')",
        (r"BoardError: no firmware \S+/nope\.py\n",),
    ),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """What is printed of a test for each of FAILURES, by its title."""
    folder = tmp_path_factory.mktemp("failures")
    (folder / "main.py").write_text(FAULTY)
    tests = [
        f"def test_{place}(board):\n    board.run()\n    {line}\n"
        for place, (line, _) in enumerate(FAILURES.values())
    ]
    (folder / "test_main.py").write_text(
        "\n\n".join(["from ringlane_host.board import AllocationInHandler", *tests])
    )
    status, printed = run(folder)
    assert status
    sections = re.split(r"^_+ ((?:ERROR at teardown of )?test_\d+)\S* _+$", printed, flags=re.M)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_test_shows(name, failures):
    title = f"test_{[*FAILURES].index(name)}"
    if name == "a fault that the test has not seen":
        title = f"ERROR at teardown of {title}"
    for each in FAILURES[name][1]:
        assert re.search(each, failures[title]), failures[title]


@pytest.mark.parametrize(
    "option, error",
    [
        ("--ringlane-target=rp2040:none.uf2", "no file none.uf2"),
        (
            "--ringlane-target=pico",
            "--ringlane-target=pico: it is sim, unix, rp2040:FILE.uf2 or a serial port",
        ),
    ],
)
def test_a_target_that_is_not_there_is_named(option, error, tmp_path):
    (tmp_path / "test_main.py").write_text("def test(board):\n    board.run()\n")
    status, printed = run(tmp_path, option)
    assert status and error in printed, printed
