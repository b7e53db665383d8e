"""The bench end to end, with few messages: every row is there, and a wrong result fails it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "firmware" / "bench"
COLUMNS = ["4 B", "16 B", "64 B", "256 B", "16 B, 5 classes", "one word"]
CONTENDERS = [
    "ringlane",
    "framed RingIO, functions",
    "framed RingIO, inline",
    "five deques, functions",
    "five deques, inline",
    "raw RingIO, inline",
    "two empty viper calls",
]
# What a contender does wrong, in which column it shows, and the bench's word for it.
PLANTS = {
    "a class from the wrong bits": (
        "        result[1] = header[0] >> 16\n",
        "        result[1] = header[0] >> 17\n",
        ("16 B", "framed RingIO, functions: sent class"),
    ),
    "a byte that is never taken": (
        "                    readinto(buf, size)\n",
        "                    readinto(buf, size - 1)\n",
        ("16 B", "framed RingIO, inline: sent bytearray"),
    ),
    "the newest first": (
        "                sent, data = queue.popleft()\n",
        "                sent, data = queue.pop()\n",
        ("16 B", "five deques, functions: sent b"),
    ),
    "a latency below zero": (
        "                return data, priority, ticks_diff(ticks_us(), sent)\n",
        "                return data, priority, ticks_diff(sent, ticks_us()) - 1\n",
        ("16 B", "five deques, functions: latency -"),
    ),
    "a latency longer than the run": (
        "latency = (now() - rx_header[1]) & TICKS_MASK\n",
        "latency = (now() - rx_header[1] + 1000000) & TICKS_MASK\n",
        ("16 B", "framed RingIO, inline: latency 1"),
    ),
    "another word": (
        "                got_value = rx_word[0]\n",
        "                got_value = rx_word[0] + 1\n",
        ("one word", "raw RingIO, inline: sent"),
    ),
    "a message left behind": (
        "                queues[priority].append((now(), value))\n",
        "                queues[priority].append((now(), value))\n" * 2,
        ("one word", "five deques, inline: "),
    ),
}


def bench(*arguments, folder=BENCH):
    return subprocess.run(
        [sys.executable, folder / "run.py", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def results(*arguments, out, board):
    done = bench("--quick", "--out", out, *arguments)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout, json.loads((out / f"bench-{board}.json").read_text())


def cell(found, contender, column):
    rows = found["rows"]
    (row,) = [row for row in rows if (row["contender"], row["column"]) == (contender, column)]
    return row


def test_the_bench_measures_every_contender_at_every_size(interpreter, tmp_path):
    printed, found = results(out=tmp_path, board="virtual")
    assert found["columns"] == COLUMNS
    assert [(row["column"], row["contender"]) for row in found["rows"]] == [
        (column, contender) for column in COLUMNS for contender in CONTENDERS
    ]
    for row in found["rows"]:
        ours = cell(found, "ringlane", row["column"])
        assert row["unit"] == "ns" and row["time"] > 0
        assert row["ratio"] == pytest.approx(ours["time"] / row["time"], rel=0.01)
        # Only the deques' messages are objects.
        assert (row["allocated"] > 0) == row["contender"].startswith("five deques"), row
    assert set(found["capacity"]) == {"8", "1024"}
    assert found["footprint"]["import"] > 0 and found["footprint"]["channel"] > 0
    assert {"lanes", "priority", "clock", "__init__"} == set(found["footprint"]["mpy"])
    for shown in (*CONTENDERS, *COLUMNS, "the ns are of this machine"):
        assert shown in printed


@pytest.mark.parametrize("plant", PLANTS)
def test_a_contender_that_returns_something_wrong_fails_the_bench(plant, interpreter, tmp_path):
    right, wrong, (column, message) = PLANTS[plant]
    folder = tmp_path / "bench"
    shutil.copytree(BENCH, folder)
    program = folder / "contenders.py"
    source = program.read_text()
    assert right in source, f"{plant}: no longer applies"
    program.write_text(source.replace(right, wrong))
    done = bench("--quick", "--out", tmp_path, "--column", column, folder=folder)
    assert done.returncode == 1
    assert f"bench: WrongResult: {message}" in done.stderr, done.stderr
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "rp2040"], "the emulated RP2040 needs a firmware"),
        (["--target", "rp2040", "--uf2", "no.uf2"], "no firmware file no.uf2"),
        (["--uf2", "no.uf2"], "no firmware file no.uf2"),
        (["--target", "/dev/no-such-port"], "no board at '/dev/no-such-port'"),
    ],
)
def test_a_missing_board_or_firmware_is_one_clear_sentence(arguments, message):
    done = bench(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"bench: {message}") and done.stderr.count("\n") == 1


def test_the_cycles_on_an_emulated_rp2040_keep_to_the_budget(uf2, tmp_path):
    _, found = results(
        *("--target", "rp2040", "--uf2", uf2, "--column", "16 B"), out=tmp_path, board="rp2040"
    )
    ours = cell(found, "ringlane", "16 B")
    assert ours["unit"] == "cycles"
    assert ours["time"] <= 4100
    assert cell(found, "five deques, functions", "16 B")["ratio"] <= 0.45
    for framed in ("framed RingIO, functions", "framed RingIO, inline"):
        assert cell(found, framed, "16 B")["ratio"] <= 0.64
    for row in found["rows"]:
        assert (row["allocated"] > 0) == row["contender"].startswith("five deques"), row
    assert set(found["long_run"]["ns"]) == {"ringlane", *(n for n in CONTENDERS if "deques" in n)}
    small, large = found["capacity"]["8"], found["capacity"]["1024"]
    assert abs(large - small) <= 0.02 * small
