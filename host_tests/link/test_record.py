"""`ringlane record`, echo, hz, advise and replay, from real MicroPython to the simulated board."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import ringlane_host
from conftest import PACKAGE, ROOT
from conftest import command as ringlane
from mcap.reader import make_reader
from mcap.writer import Writer
from ringlane import BULK, HIGH, PriorityChannel
from ringlane_host.board import Overflowed, SimulatedBoard
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.link import LinkError
from ringlane_host.link.recording import Recorded, Recording, advise, replay
from ringlane_host.link.remote import NotOpened

HEART = ROOT / "firmware" / "heart"
SECONDS = 10

# A burst of 12 words every 100 ms into a lane of 5, and a class that nobody takes.
PROGRAM = """
import asyncio
import ringlane.link
from ringlane import *

ch = PriorityChannel((0, 5, 0, 0, 2), slot_size=8, name="adc", tap=Recorder(256, head=8))
plain = Channel(4, name="plain")

async def main():
    asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    n = 0
    for turn in range({turns}):
        for _ in range(12):
            ch.send_word(n, HIGH)
            n += 1
        ch.send(b"idle", BULK) if turn % 2 else ch.send(b"too long to fit", BULK)
        buf = bytearray(8)
        while (m := ch.recv(buf)) and m[1] == HIGH:
            pass
        print("turn", turn)
        await asyncio.sleep_ms(100)
    await asyncio.sleep_ms(500)

asyncio.run(main())
"""


SERVE = """
async def main():
    asyncio.create_task(ringlane.link.serve())
    await asyncio.sleep_ms(60_000)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recording of PROGRAM."""
    folder = tmp_path_factory.mktemp("record")
    (folder / "bursts.py").write_text(PROGRAM.format(turns=10))
    status, out, err = ringlane("record", "virtual", folder / "out.mcap", folder / "bursts.py")
    assert status == 0, err
    assert re.search(r"out\.mcap: \d+ events\n", out), out
    return folder / "out.mcap"


def test_a_recording_holds_every_message_and_what_became_of_it(recorded):
    recording = Recording(recorded)
    assert not recording.missing
    queued, dropped = recording.of("adc", "queued"), recording.of("adc", "dropped")
    high = [each for each in queued if each.priority == HIGH]
    # Of each 12 the first 5 find room.
    assert [each.word for each in high] == [12 * turn + n for turn in range(10) for n in range(5)]
    assert [each.number for each in high] == list(range(50))
    assert len([each for each in dropped if each.priority == HIGH]) == 70
    assert {each.head for each in recording.of("adc", "rejected")} == {b"too long"}
    received = recording.of("adc", "received")
    assert [each.word for each in received if each.priority == HIGH] == [e.word for e in high]
    assert all(each.figure >= 0 for each in received)
    turns = sorted({each.us // 50_000 for each in high})
    # Nine sleeps, of which asyncio counts whole milliseconds.
    assert 0.89e6 < max(each.us for each in high) < 5e6 and len(turns) > 8
    assert recording.text.replace("\r", "") == "".join(f"turn {turn}\n" for turn in range(10))
    assert recording.channels["adc"]["pattern"] == "PriorityChannel"


def test_other_programs_read_it(recorded):
    with recorded.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        topics = set()
        times = []
        for schema, channel, message in reader.iter_messages():
            topics.add(channel.topic)
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            properties = json.loads(schema.data)["properties"]
            kinds = {"integer": int, "string": str, "array": list}
            for name, value in json.loads(message.data).items():
                if name != "class":
                    assert isinstance(value, kinds[properties[name]["type"]]), (name, value)
            times.append(message.log_time)
    assert topics == {
        *(f"adc/{each}" for each in ("queued", "dropped", "rejected", "received", "lanes")),
        "plain/lanes",
        "text",
    }
    assert max(times) - min(times) < 60e9


def test_advise_tells_the_capacity_that_loses_nothing(recorded):
    by_lane = {each.lane: each for each in advise(Recording(recorded))}
    high, bulk = by_lane["HIGH"], by_lane["BULK"]
    assert (high.arrived, high.dropped, high.capacity) == (120, 70, 5)
    assert high.needed is None or high.needed >= 12
    assert bulk.arrived == 5
    status, out, err = ringlane("advise", recorded)
    assert status == 0, err
    assert re.search(r"adc +HIGH +120 +70 ", out), out
    assert "longest wait: " in out


def lanes_of(resets=(), **happened):
    # The Advice of each lane of a recording, of (us, outcome) and a taken event's figure.
    events = []
    for lane, its in happened.items():
        sent = taken = 0
        for us, outcome, *figure in its:
            number = sent
            if outcome == "queued":
                sent += 1
            elif outcome != "dropped":
                taken += figure[0] if figure else 1
                number = taken - 1
            figure = figure[0] if figure else 8
            events.append(
                Recorded("ch", outcome, us, lane, 3, 0, 4, number, figure, b"\0\0\0\0", None)
            )
    events.sort(key=lambda each: each.us)
    channels = {"ch": {"pattern": "PriorityChannel"}}
    found = advise(SimpleNamespace(events=events, channels=channels, resets=list(resets)))
    return {each.lane: each for each in found}


def lane_of(*happened, resets=()):
    return lanes_of(resets, LOW=happened)["LOW"]


def test_advise_finds_the_lane_that_starves_by_what_waits_yet():
    busy = [(turn * 1000, outcome) for turn in range(100) for outcome in ("queued", "received")]
    bulk = [(1, "queued"), (2, "queued"), *((turn * 1000, "dropped") for turn in range(1, 99))]
    found = lanes_of(HIGH=busy, BULK=bulk)
    assert (found["HIGH"].longest_wait_us, found["BULK"].longest_wait_us) == (8, 99_000 - 1)
    # Nobody has seen the latency of what skip, clear and recv_words take; a reset takes the rest.
    taken = [(0, "queued"), (500, "queued"), (900, "taken", 2), (950, "queued"), (990, "received")]
    assert lane_of(*taken).longest_wait_us == 900
    assert lane_of((0, "queued"), (70, "queued"), resets=[50]).longest_wait_us == 50


def test_advise_begins_anew_after_a_reset():
    # Of each start 5 are queued and never taken.
    happened = [(start * 1000 + n, "queued") for start in range(3) for n in range(5)]
    assert (lane_of(*happened).needed, lane_of(*happened, resets=[4, 1004]).needed) == (15, 5)


@pytest.mark.parametrize("bursts", [1, 2, 20])
def test_advise_takes_each_burst_by_itself(bursts):
    # 20 come at once, 8 find room and are taken in 1 ms each; then there is time.
    happened = []
    for burst in range(bursts):
        began = burst * 200_000
        happened += [(began + n, "queued" if n < 8 else "dropped") for n in range(20)]
        happened += [(began + 1000 * (n + 1), "received") for n in range(8)]
    advice = lane_of(*happened)
    assert (advice.arrived, advice.dropped, advice.needed) == (20 * bursts, 12 * bursts, 20)


def test_advise_says_where_no_capacity_would_do():
    # Two come where one is taken, for ever: the lane is never empty.
    happened = [(0, "queued")] * 8
    for turn in range(1, 200):
        happened += [(turn * 1000, "received"), (turn * 1000, "queued"), (turn * 1000, "dropped")]
    assert lane_of(*happened).needed is None


def test_a_short_recording_has_what_it_says(tmp_path):
    program = tmp_path / "short.py"
    program.write_text(PROGRAM.format(turns=200))
    path = tmp_path / "short.mcap"
    status, out, err = ringlane("record", "virtual", path, program, "--seconds", "0.2")
    assert status == 0, err
    (count,) = re.findall(r": ([\d,]+) events", out)
    assert int(count.replace(",", "")) == len(Recording(path).events) > 0


def test_advise_is_right_where_the_receiver_keeps_up(tmp_path):
    # With that capacity the same arrivals and receives lose nothing, with one less they do.
    program = tmp_path / "queue.py"
    program.write_text(
        PROGRAM.format(turns=6)
        .replace("(0, 5, 0, 0, 2)", "(0, 5, 0, 0, 40)")
        .replace("range(12)", "range(7)")
        .replace("for turn in", "ch.send(b'x', BULK)\n    for turn in")
        .replace(
            "while (m := ch.recv(buf)) and m[1] == HIGH:",
            "for _ in range(9):\n            ch.recv(buf)\n        while False:",
        )
    )
    status, _, err = ringlane("record", "virtual", tmp_path / "q.mcap", program)
    assert status == 0, err
    recording = Recording(tmp_path / "q.mcap")
    advice = {each.lane: each for each in advise(recording)}["BULK"]
    assert advice.dropped == 0
    for capacity, lost in ((advice.needed, 0), (advice.needed - 1, 1)):
        if not capacity:
            continue
        depth = drops = 0
        for each in recording.of("adc"):
            if each.lane == "BULK" and each.outcome == "queued":
                drops += depth == capacity
                depth = min(depth + 1, capacity)
            elif each.lane == "BULK" and each.outcome == "received":
                depth = max(0, depth - 1)
        assert bool(drops) == bool(lost)


def test_a_recording_is_replayed_into_a_channel(recorded):
    ch = PriorityChannel((0, 100, 0, 0, 20), slot_size=8, name="adc")
    waits = []
    with pytest.raises(LinkError, match="has 8 of 15 bytes of a message of 'adc'"):
        replay(Recording(recorded), ch)
    recording = Recording(recorded)
    recording.events = [each for each in recording.events if each.outcome != "rejected"]
    assert replay(recording, ch, wait=waits.append) == 100 + 5
    assert waits == sorted(waits)
    assert ch.recv_word()[:2] == [0, HIGH] and ch.dropped == 20
    assert ch.counters(BULK).sent == 5


@pytest.fixture(scope="module")
def heart(tmp_path_factory):
    """A recording of the demo, from its first sample."""
    path = tmp_path_factory.mktemp("heart") / "demo.mcap"
    # It keeps all of the run, as this host may be busy elsewhere for longer than a second.
    folder = tmp_path_factory.mktemp("firmware")
    shutil.copytree(HEART, folder, dirs_exist_ok=True)
    text = (folder / "heart.py").read_text()
    assert "events=256" in text
    (folder / "heart.py").write_text(text.replace("events=256", "events=8192"))
    run = [sys.executable, folder / "run.py", "--watched", f"--seconds={SECONDS}", "--speed=1"]
    for _ in range(2):
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stdout:
                    if line.startswith("to watch it"):
                        break
                status, out, err = ringlane("record", line.split()[-1], path)
                assert status == 0, err
                process.communicate(timeout=60)
            finally:
                process.kill()
        if not Recording(path).missing:
            return path
    pytest.fail("the host was too busy to record")


REPLAYED = f"""
import asyncio
import heart

demo = heart.Demo(heart.load(heart.RECORDING, {SECONDS} * 720), {SECONDS}, 1)
demo.sampler.start = lambda: None  # the replay samples in its place
asyncio.run(demo.run())
"""


def test_the_demo_replays_to_the_same_beats(heart, tmp_path):
    recording = Recording(heart)
    beats = [each.head for each in recording.of("uplink", "queued") if each.priority == HIGH]
    assert len(beats) > 5
    for name in ("heart.py", "sampling.py", "detector.py", "summary.py"):
        (tmp_path / name).write_text((HEART / name).read_text())
    (tmp_path / "main.py").write_text(REPLAYED)
    board = SimulatedBoard("rpi_pico", tmp_path)
    board.allow(Overflowed)  # of BULK, as in the demo
    try:
        name = "ecg_mitdb208_360hz_60s.u16le"
        board.flash.files[name] = (HEART / name).read_bytes()
        board.run("main.py")
        assert board.replay(heart, "samples") == SECONDS * 360
        board.advance(ms=SECONDS * 1000 + 1500)
        again = [each.data for each in board.channels["uplink"].sent if each.priority == HIGH]
        assert again == beats
        assert len(board.channels["samples"].received) == SECONDS * 360
        assert {type(each) for each in board.faults} <= {Overflowed}
    finally:
        board.stop()


def test_replay_says_what_is_wrong(recorded, tmp_path):
    main = tmp_path / "main.py"
    main.write_text("import time\nfrom ringlane import Channel\nch = Channel(4)\ntime.sleep(9)\n")
    status, _, err = ringlane("replay", recorded, main)
    assert status == 1 and "has 8 of 15 bytes" in err, err
    status, _, err = ringlane("replay", recorded, main, "--channel", "none")
    assert status == 1 and "has no events of a channel 'none'; there are adc" in err
    status, _, err = ringlane("replay", recorded, tmp_path / "other.py")
    assert status == 1 and "no file" in err


def test_echo_and_hz_and_what_they_lack(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ringlane").symlink_to(PACKAGE)
    # A Channel, so that the class is a label and not the lane's name.
    program = PROGRAM.replace("PriorityChannel((0, 5, 0, 0, 2)", "Channel(5")
    program = program.replace("slot_size=8", "slot_size=12").replace("head=8", "head=12")
    (tmp_path / "main.py").write_text(program.format(turns=100_000))
    with VirtualBoard(tmp_path) as board:
        status, out, err = ringlane("echo", board.port, "adc", "--seconds", 2)
        assert status == 0, err
        assert re.search(r"^ +\d+\.\d{6}  HIGH +4 B  \d+$", out, re.MULTILINE), out
        assert re.search(r"HIGH +4 B  \d+  dropped$", out, re.MULTILINE), out
        # As much of each as the recorder keeps.
        assert re.search(r"BULK +15 B  too long to …  rejected$", out, re.MULTILINE), out
        status, out, err = ringlane("hz", board.port, "adc", "--seconds", 3)
        assert status == 0, err
        rate = float(re.search(r"^([\d,.]+) messages a second", out)[1].replace(",", ""))
        assert 20 < rate < 80, out  # 50 a second are queued, and 70 are dropped
        assert len(set(out.splitlines())) == len(out.splitlines()), out
        echo = [sys.executable, "-m", "ringlane_host.command.cli", "echo", board.port, "adc"]
        with subprocess.Popen(
            echo, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            process.stdout.close()  # as `ringlane echo … | head -1`
            assert (process.wait(60), process.stderr.read()) == (0, b"")
        status, _, err = ringlane("hz", board.port, "plain", "--seconds", 3)
        assert status == 1 and "channel 'plain' has no tap" in err
        for seconds in (2, 8):
            status, _, err = ringlane("echo", board.port, "nobody", "--seconds", seconds)
            assert status == 1 and "no channel 'nobody' on that board; there are adc, plain" in err


# Of each four messages to the second receiver two find its lane full.
BUS = (
    PROGRAM.partition("ch =")[0]
    + """
bus = MulticastChannel(2, slot_size=4, max_receivers=2, name="bus", tap=Recorder(256, head=4))

async def main():
    asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    near, far = bus.add_receiver("near"), bus.add_receiver("far")
    for n in range(60):
        bus.send_word(n, HIGH)
        near.recv_word()
        if n % 4 == 3:
            far.clear()
        await asyncio.sleep_ms(20)
    await asyncio.sleep_ms(500)

asyncio.run(main())
"""
)


def test_of_a_multicast_each_message_is_told_once_and_each_receiver_by_itself(tmp_path):
    program, path = tmp_path / "bus.py", tmp_path / "bus.mcap"
    program.write_text(BUS)
    _, out, err = ringlane("echo", "virtual", "bus", program)
    assert "has ended" in err, err
    lines = out.splitlines()
    words = [re.search(r"HIGH +4 B  (\d+)$", line) for line in lines]
    assert [int(each[1]) for each in words if each] == list(range(60)), out
    assert lines.count("(receiver 1 missed 2)") == 15, out
    _, out, err = ringlane("hz", "virtual", "bus", program)
    assert "has ended" in err and 5 < float(out.split()[0]) <= 60, (out, err)
    status, _, err = ringlane("record", "virtual", path, program)
    assert status == 0, err
    recording = Recording(path)
    assert [each.word for each in recording.messages("bus")] == list(range(60))
    received = recording.of("bus", "received")
    assert [(each.receiver, each.word) for each in received] == [(0, n) for n in range(60)]
    for outcome in ("taken", "missed"):
        seen = recording.of("bus", outcome)
        assert [(each.receiver, each.figure) for each in seen] == [(1, 2)] * 15, outcome
    status, _, err = ringlane("advise", path)
    assert status == 1 and "no events of a Channel or PriorityChannel" in err


CALLS = (
    PROGRAM.partition("ch =")[0]
    + """
rpc = RequestReplyChannel(2, slot_size=4, name="rpc", tap=Recorder(256, head=4))
aside = Channel(2, slot_size=4, name="aside", tap=Recorder(2))

async def main():
    asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    asyncio.create_task(rpc.serve(lambda request: bytes(request) + b"!"))
    buf = bytearray(4)
    aside.send_word(1, HIGH)
    for n in range(20):
        await rpc.call(bytes([n]), buf)
        await asyncio.sleep_ms(20)
    await asyncio.sleep_ms(500)

asyncio.run(main())
"""
)


def test_of_calls_each_request_and_each_reply_is_told(tmp_path):
    program, path = tmp_path / "calls.py", tmp_path / "calls.mcap"
    program.write_text(CALLS)
    status, _, err = ringlane("record", "virtual", path, program)
    assert status == 0, err
    recording = Recording(path)
    for lane, receiver, reply in (("request", 0, b""), ("reply", 1, b"!")):
        for outcome, end in (("queued", None), ("received", receiver)):
            seen = [each for each in recording.of("rpc", outcome) if each.lane == lane]
            assert [each.head for each in seen] == [bytes([n]) + reply for n in range(20)]
            assert {each.receiver for each in seen} == {end}
    ids = [each.number for each in recording.of("rpc", "queued")]
    assert ids[::2] == ids[1::2] and len(set(ids)) == 20  # a reply has its request's
    status, out, err = ringlane("advise", path)
    assert status == 0 and re.search(r"^aside +- +1 +0 +1 ", out, re.MULTILINE), out + err
    assert "\nnot advised: rpc, a RequestReplyChannel;" in out

    async def receive():
        async with ringlane_host.remote(path) as board:
            await board.channel("rpc").arecv()

    with pytest.raises(NotOpened, match=r"are not received: Recording\(.*\).of\('rpc'\) has them"):
        asyncio.run(receive())


ON_CHIP = """
import asyncio
import ringlane.link
from ringlane import HIGH, Channel, Recorder

ch = Channel(4, slot_size=4, name="adc", tap=Recorder(32, head=4))

async def main():
    asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    for n in range(20):
        ch.send_word(n, HIGH)
        ch.recv_word()
        await asyncio.sleep_ms(10)
    await asyncio.sleep_ms(REST)  # as long as the command needs

asyncio.run(main())
"""


def test_the_commands_look_into_an_emulated_pico(uf2, tmp_path):
    program, path = tmp_path / "chip.py", tmp_path / "chip.mcap"
    program.write_text(ON_CHIP.replace("REST", "200"))
    on_chip = [program, "--uf2", uf2]
    status, _, err = ringlane("record", "rp2040", path, *on_chip, timeout=500)
    assert status == 0, err
    recording = Recording(path)
    assert [each.word for each in recording.messages("adc")] == list(range(20))
    assert [each.word for each in recording.of("adc", "received")] == list(range(20))
    _, out, err = ringlane("echo", "rp2040", "adc", *on_chip, timeout=500)
    assert "has ended" in err, err
    assert re.findall(r"HIGH +4 B  (\d+)$", out, re.MULTILINE) == [str(n) for n in range(20)]
    program.write_text(ON_CHIP.replace("REST", "900"))
    status, out, err = ringlane("top", "rp2040", "--once", "--json", *on_chip, timeout=500)
    assert status == 0, err
    ((lane,),) = [each["lanes"] for each in json.loads(out)["channels"]]
    assert (lane["sent"], lane["received"], lane["last"]) == (20, 20, "13000000")
    assert 0 < lane["latency_us"]["p50"] < 1000


def test_what_cannot_be_recorded_leaves_no_file(tmp_path):
    out = tmp_path / "out.mcap"
    for program in ("ch = Channel(4, name='plain')", ""):
        (tmp_path / "plain.py").write_text(PROGRAM.partition("ch =")[0] + f"{program}\n" + SERVE)
        status, _, err = ringlane("record", "virtual", out, tmp_path / "plain.py", "--seconds", 2)
        assert status == 1 and "no channel there has a tap" in err, err
        assert not out.exists()
    out = tmp_path / "none" / "out.mcap"
    status, said, err = ringlane("record", "virtual", out, tmp_path / "plain.py")
    assert (status, said) == (1, "") and f"no folder {tmp_path}/none" in err


def test_a_recording_that_is_none_is_named(recorded, tmp_path):
    whole = recorded.read_bytes()
    cases = {
        "empty": (b"", "is no recording, or cut off"),
        "text": (b"time,value\n1,2\n" * 20, "is no recording, or cut off"),
        "cut": (whole[: len(whole) // 2], "is no recording, or cut off"),
        "begun": (whole[:200], "is no recording, or cut off"),
        "begun just so": (whole[:10], "is no recording, or cut off"),
    }
    for name, (data, said) in cases.items():
        path = tmp_path / f"{name}.mcap"
        path.write_bytes(data)
        with pytest.raises(LinkError, match=said):
            Recording(path)
        status, _, err = ringlane("advise", path)
        assert status == 1 and err.count("\n") == 1 and said in err, err
    spoilt = bytearray(whole)
    spoilt[len(whole) // 3] ^= 0x40
    (tmp_path / "spoilt.mcap").write_bytes(spoilt)
    with pytest.raises(LinkError):
        Recording(tmp_path / "spoilt.mcap")
    foreign = tmp_path / "foreign.mcap"
    with foreign.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        writer.finish()
    with pytest.raises(LinkError, match="of another program, not of ringlane"):
        Recording(foreign)
    with pytest.raises(LinkError, match="no recording .*none.mcap"):
        Recording(tmp_path / "none.mcap")
    status, _, err = ringlane("record", "virtual", tmp_path / "x.csv", tmp_path / "none.py")
    assert status == 1 and "ends in .mcap, not 'x.csv'" in err
