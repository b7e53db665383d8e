"""The bench end to end, with few messages: every row is there, and a wrong result fails it."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SOAK
from ringlane_host.boards import BoardError

BENCH = Path(__file__).resolve().parents[2] / "firmware" / "bench"
COLUMNS = ["4 B", "16 B", "64 B", "256 B", "16 B, 5 classes", "one word"]
CONTENDERS = [
    "ringlane",
    "framed RingIO, functions",
    "framed RingIO, inline",
    "five deques, functions",
    "five deques, inline",
    "raw RingIO, inline",
    "two empty viper calls",
    "viper ring by hand, with stamp",
]
VALUES = [  # of words only
    "native ring, value only",
    "bytecode ring, value only",
    "deque and flag, value only",
    "list and Event, value only",
    "list and ThreadSafeFlag, value only",
]
SENT = ["16 B", "one word"]
MULTICAST = [
    "one PriorityChannel",
    "multicast",
    "PriorityChannels in a loop, inline",
    "deques in a loop, functions",
    "deques in a loop, inline",
]
POLICIES = ["ROUND_ROBIN", "LEAST_LOADED", "RANDOM", "AFFINITY_FIRST"]
ANYCAST = [
    "one PriorityChannel",
    *POLICIES,
    "deques in turn, functions",
    "deques in turn, inline",
    "the shortest deque, functions",
    "any deque, functions",
]
REQUEST_REPLY = ["request-reply", "two Channels, functions", "two Channels, inline, in place"]
ZERO_COPY = ["send + recv", "send + peek + release", "claim + commit + peek + release"]
CALLS = [
    "len(ch)",
    "len() of a deque",
    "ch.free(HIGH)",
    "ch.free(), of every class",
    "ch.received",
    "ch.high_water",
    "ch.timestamp()",
    "ch.send, the lane is full",
    "ch.send_word, the lane is full",
    "ch.recv, no message",
    "ch.recv_word, no message",
    "send_word, then ch.skip()",
    "send_word, then ch.clear()",
]
WAKE_UP = [
    "await arecv",
    "await arecv_word",
    "await ready, then recv_word",
    "ThreadSafeFlag + deque",
    "ten tasks, each await arecv",
    "ten tasks, each ThreadSafeFlag + deque",
    "recv_wait, no asyncio",
    "recv_word in a busy loop",
]
# What a contender does wrong, where it shows, and the bench's word for it.
PLANTS = {  # in contenders.py, by column
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
SECTION_PLANTS = {  # by file and section
    "a receiver that gets nothing": (
        "patterns.py",
        "        for queue in self.queues:\n",
        "        for queue in self.queues[1:]:\n",
        ("multicast", "deques in a loop, functions: sent 1, the receivers got [0]"),
    ),
    "a receiver that gets it twice": (
        "patterns.py",
        "                    took += send(data, priority)\n",
        "                    took += send(data, priority) + send(data, priority)\n",
        ("multicast", "PriorityChannels in a loop, inline: sent 1, the receivers got [2]"),
    ),
    "a payload of zeros": (
        "patterns.py",
        "item = (now(), priority, data if word else bytes(data))\n",
        "item = (now(), priority, data if word else bytes(len(data)))\n",
        ("multicast", "deques in a loop, inline: sent bytearray"),
    ),
    "a count of receivers that is wrong": (
        "patterns.py",
        "    end = ticks()\n    note(last, start, end, None, took, None, None)\n",
        "    end = ticks()\n    note(last, start, end, None, took and took + 1, None, None)\n",
        ("multicast", "one PriorityChannel: send returned 2, the receivers got [1]"),
    ),
    "always the same receiver": (
        "patterns.py",
        "                if turn == count:\n",
        "                if turn:\n",
        ("anycast", "deques in turn, inline: sent 20, the receivers got [20, 0, 0, 0]"),
    ),
    "another policy": (
        "patterns.py",
        "    policy = LEAST_LOADED\n",
        "    policy = RANDOM\n",
        ("anycast", "LEAST_LOADED: sent 20, the receivers got ["),
    ),
    "the other core": (
        "patterns.py",
        "place // HALF",
        "place % HALF",
        ("anycast", "AFFINITY_FIRST: sent 1, the receivers got [0, 0, 1, 0]"),
    ),
    "another class, at any capacity": (
        "patterns.py",
        "        return (m[0], 4, m[1], m[2]) if self.word",
        "        return (m[0], 4, m[1] ^ 1, m[2]) if self.word",
        ("capacity", "multicast: sent class 2, received 3"),
    ),
    "a reply to something else": (
        "patterns.py",
        "                send_response(asked, request)\n",
        "                send_response(asked, buf)\n",
        ("request-reply", "request-reply: sent bytearray"),
    ),
    "another id": (
        "patterns.py",
        "                tx[0] = number & 0xFF\n",
        "                tx[0] = number + 1 & 0xFF\n",
        ("request-reply", "two Channels, inline, in place: sent bytearray"),
    ),
    "a request that is answered twice": (
        "patterns.py",
        "                send_response(asked, request)\n",
        "                send_response(asked, request)\n" * 2,
        ("request-reply", "request-reply: a message is left"),
    ),
    "a message that is not released": (
        "patterns.py",
        "                release()\n",
        "                pass\n",
        ("zero-copy", "send + peek + release: a message is left"),
    ),
    "a slot that is written in part": (
        "patterns.py",
        "            channel.claim(0)[:] = data\n",
        "            channel.claim(0)[1:] = data[1:]\n",
        ("zero-copy", "claim + commit + peek + release: sent bytearray"),
    ),
    "a message that is not skipped": (
        "calls.py",
        "skip, clear = empty.skip,",
        "skip, clear = (lambda: True),",
        ("calls", "send_word, then ch.clear(): 8, not 1"),
    ),
    "another number from the handler": (
        "wakeup.py",
        "        return lambda number: send_word(number, NORMAL)\n",
        "        return lambda number: send_word(number + 1, NORMAL)\n",
        ("wake-up", "await arecv: received [1, 2, "),
    ),
    "the same number from the handler": (
        "wakeup.py",
        "            queue.append(number)\n",
        "            queue.append(0)\n",
        ("wake-up", "ThreadSafeFlag + deque: received [0, 0, "),
    ),
    "a module that was imported before": (
        "footprint.py",
        "    before = gc.mem_alloc()\n    if name",
        "    import ringlane.multicast\n    before = gc.mem_alloc()\n    if name",
        ("footprint", "MulticastChannel takes "),
    ),
}


def bench(*arguments, folder=BENCH, timeout=280):
    return subprocess.run(
        [sys.executable, folder / "run.py", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def results(*arguments, out, board="virtual", timeout=280):
    done = bench("--quick", "--out", out, *arguments, timeout=timeout)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout, json.loads((out / f"bench-{board}.json").read_text())


MEASURED = "messages multicast anycast capacity request-reply zero-copy calls wake-up".split()
CONDITIONS = {"target", "board", "machine", "version", "heap", "unit", "hz"}


@pytest.fixture(scope="module")
def measured(interpreter, tmp_path_factory):
    """What is printed, and the JSON, of all sections that the virtual board measures at once."""
    sections = [word for name in MEASURED for word in ("--section", name)]
    printed, found = results(*sections, out=tmp_path_factory.mktemp("bench"))
    assert {*found} == {*CONDITIONS, *MEASURED}
    return printed, found


def check_rows(found, columns, contenders, unit="ns"):
    """Check that every row is there, with figures; return [(column, contender, row)]."""
    rows = [(row["column"], row["contender"], row) for row in found["rows"]]
    assert [row[:2] for row in rows if row[1] not in VALUES] == [
        (column, contender) for column in columns for contender in contenders
    ]
    for _, contender, row in rows:
        assert row["unit"] == unit and row["time"] > 0 and row["ratio"] > 0
        allocates = contender.startswith(("five deques", "deques", "the shortest", "any deque"))
        assert (row["allocated"] > 0) == (allocates or contender == "two Channels, functions"), row
    return rows


def cell(found, contender, column):
    rows = found["rows"]
    (row,) = [row for row in rows if (row["contender"], row["column"]) == (contender, column)]
    return row


def test_the_bench_measures_every_contender_at_every_size(measured):
    printed, found = measured[0], measured[1]["messages"]
    assert found["columns"] == COLUMNS
    for column, _, row in check_rows(found, COLUMNS, CONTENDERS):
        ours = cell(found, "ringlane", column)
        assert row["ratio"] == pytest.approx(ours["time"] / row["time"], rel=0.01)
    values = [
        (row["column"], row["contender"]) for row in found["rows"] if "only" in row["contender"]
    ]
    assert values == [("one word", each) for each in VALUES]
    for shown in (*CONTENDERS, *VALUES, *COLUMNS, "the ns are of this machine"):
        assert shown in printed


def test_the_bench_measures_multicast_to_1_2_4_and_8_receivers(measured):
    printed, found = measured[0], measured[1]["multicast"]
    counts = ["1", "2", "4", "8"]
    for title in SENT:
        part = found[title]
        rows = check_rows(part, counts, MULTICAST)
        for column, _, row in rows:
            one = cell(part, "one PriorityChannel", column)
            assert row["ratio"] == pytest.approx(row["time"] / one["time"], rel=0.01)
        for name, further in part["further"].items():
            first, last = (cell(part, name, column)["ratio"] for column in ("1", "8"))
            assert further["all"] == pytest.approx((last - first) / 7, abs=0.002)
        assert list(part["further"]) == MULTICAST[1:]
        assert f"{title}, receivers:" in printed
    for shown in (*MULTICAST, "at most 0.6"):
        assert shown in printed


def test_the_bench_measures_anycast_by_every_policy(measured):
    printed, found = measured[0], measured[1]["anycast"]
    for column, _, row in check_rows(found, SENT, ANYCAST):
        one = cell(found, "one PriorityChannel", column)
        assert row["ratio"] == pytest.approx(row["time"] / one["time"], rel=0.01)
    for shown in (*ANYCAST, "at most 1.3"):
        assert shown in printed


def test_the_bench_measures_every_kind_of_channel_at_8_and_1024_slots(measured):
    printed, found = measured[0], measured[1]["capacity"]
    assert list(found["times"]) == ["PriorityChannel, send + recv", "multicast", *POLICIES]
    for name, times in found["times"].items():
        assert list(times) == ["8", "1024"] and min(times.values()) > 0
        assert name in printed


def test_the_bench_measures_a_round_trip_of_request_and_reply(measured):
    printed, found = measured[0], measured[1]["request-reply"]
    check_rows(found, ["16 B"], REQUEST_REPLY)
    for shown in REQUEST_REPLY:
        assert shown in printed


def test_the_bench_measures_messages_that_are_not_copied(measured):
    printed, found = measured[0], measured[1]["zero-copy"]
    check_rows(found, ["16 B", "256 B"], ZERO_COPY)
    for shown in (*ZERO_COPY, "Without the producer's writing"):
        assert shown in printed


def test_the_bench_measures_single_calls(measured):
    printed, found = measured[0], measured[1]["calls"]
    assert [row["contender"] for row in found["rows"]] == CALLS
    for row in found["rows"]:
        assert row["allocated"] == 0 and row["contender"] in printed


def test_the_bench_measures_wake_ups_from_a_second_thread(measured):
    printed, found = measured[0], measured[1]["wake-up"]
    assert [row["contender"] for row in found["rows"]] == WAKE_UP
    check_wake_ups(found, 20, "a second thread")
    for shown in (*WAKE_UP, "about every millisecond"):
        assert shown in printed


def check_wake_ups(found, count, source):
    assert (found["count"], found["source"]) == (count, source)
    for row in found["rows"]:
        us = [ticks * 1e6 / found["hz"] for ticks in row["ticks"]]
        assert len(us) == count and min(us) >= 0 and max(us) > 0
        assert row["p50_us"] <= row["p99_us"] <= row["max_us"] == max(us)
        # Only asyncio's waits make something.
        waits = row["contender"] not in ("recv_wait, no asyncio", "recv_word in a busy loop")
        assert (row["allocated"] > 0) == waits, row


def test_the_bench_measures_what_the_modules_take(interpreter, tmp_path):
    printed, found = results("--section", "footprint", out=tmp_path)
    assert {*found} == {*CONDITIONS, "footprint"}
    found = found["footprint"]
    assert found["import"] > 0 and found["channel"][0] > 0
    patterns = ["MulticastChannel", "AnycastChannel", "RequestReplyChannel", "waiting"]
    assert list(found["further"]) == patterns and min(found["further"].values()) > 0
    modules = {path.stem for path in (BENCH.parent.parent / "lib" / "ringlane").glob("*.py")}
    assert set(found["mpy"]) == modules - {"manifest"} and min(found["mpy"].values()) > 0
    assert found["mpy_arch"] == "armv6m"
    for shown in (*patterns, "for armv6m", "its .mpy, bytes: "):
        assert shown in printed


@pytest.mark.parametrize("plant", PLANTS)
def test_a_contender_that_returns_something_wrong_fails_the_bench(plant, interpreter, tmp_path):
    right, wrong, (column, message) = PLANTS[plant]
    check_plant("contenders.py", right, wrong, ("--column", column), message, tmp_path)


@pytest.mark.parametrize("plant", [*SECTION_PLANTS][:: 1 if SOAK else 3])
def test_a_wrong_result_in_any_section_fails_the_bench(plant, interpreter, tmp_path, visited):
    name, right, wrong, (section_name, message) = SECTION_PLANTS[plant]
    check_plant(name, right, wrong, ("--section", section_name), message, tmp_path)
    visited(plants=1)


def check_plant(name, right, wrong, arguments, message, out):
    folder = out / "bench"
    shutil.copytree(BENCH, folder)
    program = folder / name
    source = program.read_text()
    assert right in source, "the plant no longer applies"
    program.write_text(source.replace(right, wrong))
    done = bench("--quick", "--out", out, *arguments, folder=folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"bench: WrongResult: {message}" in done.stderr, done.stderr
    assert not list(out.glob("*.json"))


@pytest.fixture
def interrupt(monkeypatch):
    """firmware/bench/interrupt.py, whose figures are of the emulated RP2040 only."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("interrupt")


@pytest.mark.parametrize(
    "row", [("ch.send_word", 9, 11), ("ch.trigger", 0, 12), ("deque.append", 9, 1)]
)
def test_an_interrupt_that_does_something_else_is_a_wrong_result(interrupt, row):
    right = [("ch.send_word", 9, interrupt.ROUNDS), ("deque.append", 9, 0)]
    assert interrupt.checked(right) == right
    with pytest.raises(BoardError, match=f"WrongResult: {row[0]}: {row[1]} cycles"):
        interrupt.checked([*right, row])


def test_the_bench_measures_interrupts_on_an_emulated_rp2040(uf2, interrupt):
    rows = {name: took for name, took, _ in interrupt.measure(uf2)}
    assert len(rows) == 6
    assert rows["ch.trigger of a register"] < rows["ch.send_word in a handler"]


def test_every_section_has_a_plant():
    planted = {"messages", "interrupt", *(where[0] for *_, where in SECTION_PLANTS.values())}
    named = bench("--help").stdout.partition("--section {")[2].partition("}")[0]
    assert planted == set(named.split(","))


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
    arguments = ["--target", "rp2040", "--uf2", uf2, "--column", "16 B"]
    for name in ("messages", "multicast", "anycast", "capacity"):
        arguments += ["--section", name]
    _, found = results(*arguments, out=tmp_path, board="rp2040", timeout=1200)
    messages = found["messages"]
    check_rows(messages, ["16 B"], CONTENDERS, "cycles")
    assert cell(messages, "ringlane", "16 B")["time"] <= 4100
    assert cell(messages, "five deques, functions", "16 B")["ratio"] <= 0.45
    for framed in ("framed RingIO, functions", "framed RingIO, inline"):
        assert cell(messages, framed, "16 B")["ratio"] <= 0.64
    long_run = messages["long_run"]["ns"]
    assert set(long_run) == {"ringlane", *(n for n in CONTENDERS if "deques" in n)}

    for title in SENT:
        part = found["multicast"][title]
        check_rows(part, ["1", "2", "4", "8"], MULTICAST, "cycles")
        # Each further receiver as a share of one send: over all, 1-2, 2-4 and 4-8.
        further = part["further"]["multicast"]
        assert len(further) == 4 and max(further.values()) <= 0.6, further
        assert cell(part, "multicast", "1")["ratio"] <= 1.3

    check_rows(found["anycast"], SENT, ANYCAST, "cycles")
    for title in SENT:
        assert cell(found["anycast"], "ROUND_ROBIN", title)["ratio"] <= 1.3

    times = found["capacity"]["times"]
    assert list(times) == ["PriorityChannel, send + recv", "multicast", *POLICIES]
    for name, by_slots in times.items():
        small, large = by_slots["8"], by_slots["1024"]
        # Which receiver RANDOM looks at is not the same in both.
        assert abs(large - small) <= (0.05 if name == "RANDOM" else 0.02) * small, name


def test_a_hard_interrupt_on_an_emulated_rp2040_wakes_every_kind_of_task(uf2, tmp_path):
    arguments = ("--target", "rp2040", "--uf2", uf2)
    for name in ("request-reply", "zero-copy", "wake-up"):
        arguments += ("--section", name)
    _, found = results(*arguments, out=tmp_path, board="rp2040", timeout=1200)
    check_rows(found["request-reply"], ["16 B"], REQUEST_REPLY, "cycles")
    check_rows(found["zero-copy"], ["16 B", "256 B"], ZERO_COPY, "cycles")
    assert [row["contender"] for row in found["wake-up"]["rows"]] == WAKE_UP
    check_wake_ups(found["wake-up"], 10, "a hard timer interrupt")
