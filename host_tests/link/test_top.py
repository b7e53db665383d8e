"""`ringlane top`: live in a terminal, once for scripts, as a picture, and what may be wrong."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
from conftest import PACKAGE, ROOT, command
from ringlane_host.boards.virtual import VirtualBoard

PROGRAM = """
import asyncio
import ringlane.link
from ringlane import *

tap = Recorder(64, head=4)
work = PriorityChannel((4, 0, 0, 0, 2), slot_size=16, name="work", tap=tap)
news = MulticastChannel(4, slot_size=8, name="news")
screen = news.add_receiver("screen")
rpc = RequestReplyChannel(2, name="rpc")
bag = Channel(4, slot_size=4, name="bag", stats=True)

async def produce():
    buf = bytearray(16)
    while True:
        work.send(b"first and last", REALTIME)
        work.send_word(-5, BULK)  # nobody takes these
        work.recv(buf)
        news.send_word(1, LOW)
        screen.recv_word()
        bag.send_word(3, LOW)
        bag.recv_word()
        await asyncio.sleep_ms(20)

async def main():
    asyncio.create_task(ringlane.link.serve())
    print("it begins")
    await produce()

asyncio.run(main())
"""


def top(*words):
    return command("top", *words)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("top") / "watched.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A virtual board that runs the program by itself."""
    flash = tmp_path_factory.mktemp("flash")
    (flash / "lib").mkdir()
    (flash / "lib" / "ringlane").symlink_to(PACKAGE)
    (flash / "main.py").write_text(PROGRAM)
    with VirtualBoard(flash) as board:
        yield board.port


def check(found):
    lanes = {
        (channel["name"], lane["lane"]): lane
        for channel in found["channels"]
        for lane in channel["lanes"]
    }
    assert list(lanes) == [
        ("bag", "-"),
        ("news", "-"),
        ("news", "screen"),
        ("rpc", "-"),
        ("work", "REALTIME"),
        ("work", "BULK"),
    ]
    first, bulk = lanes["work", "REALTIME"], lanes["work", "BULK"]
    assert first["sent_per_s"] > 5 and first["dropped"] == 0
    assert abs(first["sent_per_s"] - first["received_per_s"]) <= 0.2 * first["sent_per_s"]
    assert bytes.fromhex(first["last"]) == b"first an"
    assert set(first["latency_us"]) == {"p50", "p99", "max"}
    assert bulk["queued"] == bulk["capacity"] == bulk["high_water"] == 2
    assert bulk["dropped"] > 1 and bulk["dropped_per_s"] > 5
    assert bulk["latency_us"] is None
    assert lanes["bag", "-"]["latency_us"]["p50"] <= lanes["bag", "-"]["latency_us"]["max"]
    assert lanes["news", "screen"]["rejected"] is None and lanes["news", "screen"]["sent"] > 5
    assert found["board"]["ringlane"] == "0.2.0" and found["heap_free"] > 100_000
    assert found["link"]["frames"] > 10


def test_as_json_of_a_board_whose_program_runs(port):
    status, out, err = top(port, "--json")
    assert status == 0, err
    check(json.loads(out))
    # And again: the board has let the first host go.
    status, out, err = top(port, "--json", "--seconds", 0.1)
    assert status == 0, err
    check(json.loads(out))


def test_it_runs_a_program_itself(program):
    status, out, err = top("virtual", program, "--json")
    assert status == 0, err
    check(json.loads(out))


def test_once_and_a_picture(port, tmp_path):
    picture = tmp_path / "top.svg"
    status, out, err = top(port, "--once", "--svg", picture)
    assert status == 0, err
    assert re.search(r"work +REALTIME +\d+ .* 0/4 ", out), out
    assert re.search(r"BULK .*██████████ 2/2 +2 +[\d,]+ +\d+\.\d", out), out
    assert "first an…" in out and "it begins" not in out  # it was printed before
    svg = picture.read_text()
    assert svg.startswith("<svg") and "REALTIME" in svg and "ringlane&#160;top" in svg


def test_live_with_its_keys(port):
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ringlane_host.command.cli", "top", port],
        stdin=side,
        stdout=side,
        stderr=side,
        env=dict(os.environ, TERM="xterm", COLUMNS="140", LINES="40"),
    )
    os.close(side)
    try:
        shown = read_until(main, "by name")
        assert "REALTIME" in read_until(main, "REALTIME", shown)
        os.write(main, b"s")
        read_until(main, "by rate")
        os.write(main, b"ss")
        read_until(main, "by latency")
        os.write(main, b"q")
        read_until(main, None)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)


def read_until(fd, text, shown=""):
    end = time.monotonic() + 40
    while text is None or text not in shown:
        assert time.monotonic() < end, shown[-2000:]
        if select.select([fd], [], [], 0.2)[0]:
            try:
                shown += os.read(fd, 65536).decode("utf-8", "replace")
            except OSError:  # the other side is closed
                break
    return shown


def test_the_demo_is_watched_from_another_terminal():
    run = [
        sys.executable,
        ROOT / "firmware" / "heart" / "run.py",
        "--seconds",
        "20",
        "--speed",
        "2",
    ]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                if line.startswith("to watch it"):
                    break
            port = line.split()[-1]
            status, out, err = top(port, "--json", "--seconds", 2)
            assert status == 0, err
            found = json.loads(out)
            assert [channel["name"] for channel in found["channels"]] == ["samples", "uplink"]
            (samples,) = found["channels"][0]["lanes"]
            assert samples["lane"] == "REALTIME" and samples["sent_per_s"] > 100
            lanes = [lane["lane"] for lane in found["channels"][1]["lanes"]]
            assert lanes == ["HIGH", "NORMAL", "LOW", "BULK"]
            rest = process.stdout.read()
            assert "7,200 samples in order, none lost" in rest, rest
        finally:
            process.kill()


def test_what_may_be_wrong(tmp_path):
    status, _, err = top("virtual", "--once")
    assert status == 1 and "name the program's FILE" in err
    status, _, err = top("/dev/ttyACM77", "--once")
    assert (status, err.count("\n")) == (1, 1) and "no board at '/dev/ttyACM77'" in err
    status, _, err = top("/dev/null", "--once")
    assert status == 1 and "cannot open /dev/null: it is no serial port" in err
    status, _, err = top("/dev/null", "--seconds", -3)
    assert status == 2 and "--seconds: must be above 0, not -3" in err
    status, _, err = top("virtual", tmp_path / "none.py", "--once")
    assert status == 1 and f"no file {tmp_path}/none.py" in err
    broken = tmp_path / "broken.py"
    broken.write_text("print(1)\nraise ValueError('it broke')\n")
    status, _, err = top("virtual", broken, "--once")
    assert status == 1 and "ValueError: it broke" in err
    silent = tmp_path / "silent.py"
    silent.write_text("print('no link here')\n")
    status, _, err = top("virtual", silent, "--once")
    assert status == 1 and "the program has ended; it must run `asyncio.create_task" in err


def test_without_the_extra_the_command_says_how_to_get_it():
    code = (
        "import sys\nsys.modules['rich'] = sys.modules['cobs'] = None\n"
        "from ringlane_host.command.cli import main\n"
        "sys.exit(main(['top', '/dev/pts/0', '--once']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "ringlane top: this needs rich and cobs: pip install 'ringlane[link]'\n"
    )
