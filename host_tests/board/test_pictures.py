"""The pictures of a simulated run, each read back by another program than wrote it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ringlane_host.board import BoardError, SimulatedBoard
from ringlane_host.board.pictures import flows

KINDS = Path(__file__).parent / "kinds"


@pytest.fixture
def hub():
    """50 ms of a firmware with a hard timer, pins, a multicast and four tasks."""
    board = SimulatedBoard("rpi_pico", KINDS)
    try:
        board.adc(26).set(lambda us: us & 0xFFFF)
        board.run("hub.py")
        board.pin(4).press(ms=10, after_ms=5)
        board.pin(2).edges(6, every_us=3000)
        board.advance(ms=50)
        yield board
    finally:
        board.close()


def test_each_message_is_a_flow_from_its_send_to_its_receive(hub):
    for name, receivers in (("buttons", 1), ("steps", 1), ("samples", 2)):
        record = hub.channels[name]
        pairs = flows(record)
        assert len(pairs) == len(record.received) > 1
        assert all(sent.data == received.data for sent, received in pairs)
        assert all(received.us - sent.us == received.latency for sent, received in pairs)
        assert len({received.end for _, received in pairs}) == receivers


def test_the_trace(hub, tmp_path):
    pb2 = pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2",
        reason="no perfetto: pip install 'ringlane[trace]'",
    )
    hub.trace(tmp_path / "run.perfetto-trace")
    trace = pb2.Trace()
    trace.ParseFromString((tmp_path / "run.perfetto-trace").read_bytes())
    tracks = {
        each.track_descriptor.uuid: each.track_descriptor.name
        for each in trace.packet
        if each.HasField("track_descriptor")
    }
    events = [each for each in trace.packet if each.HasField("track_event")]
    begins, ends, levels = {}, {}, {}
    for each in events:
        event = each.track_event
        for flow in event.flow_ids:
            assert begins.setdefault(flow, event.name) == event.name
        for flow in event.terminating_flow_ids:
            ends[flow] = event.name, each.timestamp
        if event.type == event.TYPE_COUNTER:
            levels.setdefault(tracks[event.track_uuid], []).append(
                (each.timestamp // 1000, event.counter_value)
            )
    received = sum(len(record.received) for record in hub.channels)
    assert received == len(begins) == len(ends) > 50
    for flow, (name, _) in ends.items():
        assert begins[flow].replace("send", "recv") == name
    assert levels["GPIO4"] == hub.pin(4).history
    assert levels["steps: queued"] == hub.channels["steps"].depths
    slices = {}
    for each in events:
        if each.track_event.type in (
            pb2.TrackEvent.TYPE_SLICE_BEGIN,
            pb2.TrackEvent.TYPE_SLICE_END,
        ):
            slices.setdefault(tracks[each.track_event.track_uuid], []).append(
                each.timestamp // 1000
            )
    assert slices["Pin 2 handler on_step"] == [
        us for us, _ in hub.pin(2).history[1:] for _ in ("begin", "end")
    ]
    seen = {tracks[each.track_event.track_uuid] for each in events}
    assert {"Pin 4 handler on_button", "show", "log"} <= seen


@pytest.fixture
def vcdvcd():
    """The package that reads waves; its import lets a broken pipe or socket end this process."""
    broken_pipe = signal.getsignal(signal.SIGPIPE)
    yield pytest.importorskip("vcdvcd", reason="no vcdvcd: pip install vcdvcd")
    signal.signal(signal.SIGPIPE, broken_pipe)


def test_the_waves(hub, tmp_path, vcdvcd):
    pytest.importorskip("vcd", reason="no pyvcd: pip install 'ringlane[trace]'")
    hub.waves(tmp_path / "run.vcd")
    waves = vcdvcd.VCDVCD(str(tmp_path / "run.vcd"))
    for number in (2, 4, 25):
        seen = [(us, level) for us, level in waves[f"pins.GPIO{number}"].tv if level != "x"]
        changes = [(us, str(level)) for us, level in hub.pin(number).history]
        assert seen == changes and changes
    (depth,) = (waves[name].tv for name in waves.signals if "queued.samples" in name)
    (runs,) = (waves[name].tv for name in waves.signals if "on_step" in name)
    assert [us for us, value in runs if value == "1"] == [us for us, _ in hub.pin(2).history[1:]]
    assert max(int(value, 2) for _, value in depth) == max(
        queued for _, queued in hub.channels["samples"].depths
    )
    shown = (tmp_path / "run.gtkw").read_text()
    assert "pins.GPIO4" in shown and "queued.steps[31:0]" in shown


def test_the_plot(hub, tmp_path):
    image = pytest.importorskip("matplotlib.image", reason="no matplotlib: ringlane[plot]")
    hub.plot(tmp_path / "run.png")
    pixels = image.imread(tmp_path / "run.png")
    # White paper, and colours of lines on both halves of it.
    colours = {tuple(pixel[:3]) for row in pixels for pixel in row}
    assert pixels.shape[0] > 400 and (1.0, 1.0, 1.0) in colours and len(colours) > 20
    hub.plot(tmp_path / "run.svg")
    text = (tmp_path / "run.svg").read_text()
    assert text.count("<use") > len(hub.channels["samples"].received)


def test_every_test_is_traced_when_asked_to(tmp_path):
    pytest.importorskip("perfetto", reason="no perfetto: pip install 'ringlane[trace]'")
    test = tmp_path / "test_led.py"
    test.write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('level', [0, 1])\n"
        "def test_it(board, level):\n"
        "    board.load('machine').Pin(25, 1, value=level)\n"
        "    assert not level\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ringlane-trace=out"]
    done = subprocess.run([*command, test], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1  # one of the two failed, and both are there
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    endings = ".gtkw", ".perfetto-trace", ".vcd"
    assert names == [f"test_led.py_test_it_{n}{end}" for n in (0, 1) for end in endings]


@pytest.mark.parametrize(
    "picture, package", [("trace", "perfetto"), ("waves", "vcd"), ("plot", "matplotlib")]
)
def test_without_its_package_a_picture_says_which(hub, tmp_path, monkeypatch, picture, package):
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BoardError, match=r"pip install 'ringlane\[(trace|plot)\]'"):
        getattr(hub, picture)(tmp_path / "run")
    assert not [*tmp_path.iterdir()]
