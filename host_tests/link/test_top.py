"""`ringlane top`: live in a terminal, once for scripts, as a picture, and what may be wrong."""

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from conftest import PACKAGE, ROOT, command
from rich.console import Console
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.link.session import BoardClock, Channel, Counts, Row, Snapshot, Status
from ringlane_host.link.top import _picture
from ringlane_host.link.watch import Watch

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
    assert re.search(r"BULK .*██████████ 2/2 +2 +[\d,]+ +0 +\d+\.\d", out), out
    assert "quits" not in out  # there is no key for it
    assert "first an…" in out and "it begins" not in out  # it was printed before
    svg = picture.read_text()
    assert svg.startswith("<svg") and "REALTIME" in svg and "ringlane&#160;top" in svg


def looked_at(*snapshots, status=(1 << 17, 0, 0, False, 0)):
    # A Watch of snapshots: (channel, rows of (label, queued, sent, dropped, rejected), stats), one
    # every half second; and a session.
    watch, session = Watch(), SimpleNamespace(board_clock=BoardClock(), counts=Counts())
    session.board_clock.add(0.0, 0.004, 5_000_000)
    for number, (channel, rows, stats) in enumerate(snapshots):
        rows = [
            Row(label, 4, queued, queued, sent, sent - queued, dropped, rejected, b"\7\0\0\0", 4)
            for label, queued, sent, dropped, rejected in rows
        ]
        us = number * 500_000
        for first in range(0, len(rows), 5):
            part = tuple(rows[first : first + 5])
            watch.update([channel, Snapshot(channel, us + first, 0.0, 0, part, stats, first)])
            stats = None
    watch.update([Status(5_000_000, *status)])
    return watch, session


def lines_of(watch, session):
    # The picture's lines with the colours of a terminal, without its heading.
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=132)
    console.print(_picture(session, watch, "here"))
    head, _, titles, _, *lines = out.getvalue().splitlines()
    return plain(head).strip(), titles, lines


def plain(line):
    return re.sub(r"\x1b\[\d*m", "", line)


def channel(name, pattern):
    return Channel(name, pattern, 4, 1, False, True, 1_000_000, (1 << 30) - 1, True)


def test_the_picture_says_what_the_figures_mean():
    work = channel("work", "PriorityChannel")
    stats = 100, 40, 30, 90, 25_000
    watch, session = looked_at(
        (work, [("REALTIME", 0, 0, 7, 7), ("LOW", 4, 10, 3, 2), ("BULK", 2, 5, 0, 10)], None),
        (work, [("REALTIME", 0, 4, 7, 7), ("LOW", 4, 10, 3, 2), ("BULK", 2, 5, 0, 10)], stats),
        (work, [("REALTIME", 0, 12, 7, 7), ("LOW", 4, 10, 7, 2), ("BULK", 2, 5, 0, 13)], stats),
    )
    head, titles, (realtime, low, bulk, *_) = lines_of(watch, session)
    assert head == "here · 128 KB free · clock 5.0 s ± 2.0 ms"
    for title in ("sent/s", "queued", "high", "dropped", "rejected", "lost/s", "p99", "last"):
        assert title in titles
    assert "\x1b[31m" not in realtime
    assert plain(realtime).split() == [
        *("work", "REALTIME", "16", "▄█", "··········", "0/4", "0", "7", "7"),
        *("30", "µs", "90", "µs", "25", "ms", "7"),
    ]
    for line, label, figures in ((low, "LOW", "7 2 8.0 7"), (bulk, "BULK", "0 13 6.0 7")):
        assert f"\x1b[31m{label} " in line  # red
        assert plain(line).split()[-4:] == figures.split(), line
    (told,) = watch.as_json(session)["channels"]
    assert told["latency_us"] == {"p50": 30, "p99": 90, "max": 25_000}
    assert [lane["latency_us"] for lane in told["lanes"]] == [None] * 3
    assert told["lanes"][2]["rejected_per_s"] == 6
    watch, session = looked_at(status=(1 << 20, 0, 0, True, 3))
    assert lines_of(watch, session)[0] == (
        "here · 1024 KB free · 3 more channels are not shown · events go to another host · "
        "clock 5.0 s ± 2.0 ms"
    )


def test_receivers_of_one_name_have_a_line_each_and_those_that_close_have_none():
    news = channel("news", "MulticastChannel")
    six = [(f"long name {n // 2}"[:10], 0, 10 * n, 0, None) for n in range(1, 7)]
    watch, session = looked_at(
        (news, [("-", 0, 99, 0, 0), *six], None), (news, [("-", 0, 99, 0, 0), *six], None)
    )
    assert watch.snapshots == 2  # each of two frames
    lanes = watch.as_json(session)["channels"][0]["lanes"]
    assert [(lane["sent"], lane["sent_per_s"]) for lane in lanes] == [
        (99, 0),
        *((10 * n, 0) for n in range(1, 7)),
    ]
    watch, session = looked_at(
        *[(news, [("-", 0, 99, 0, 0), *six[:count]], None) for count in (6, 4, 4)]
    )
    assert list(watch.lanes) == [("news", place) for place in range(5)]


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
