"""Pictures of a run: a trace for Perfetto, waves for GTKWave and PulseView, a plot.

All are made of what the board has recorded: the messages of its channels, how many each held, when
handlers ran, and the levels of its pins. The packages that write them are optional:
pip install 'ringlane[trace,plot]'.
"""

import importlib
from pathlib import Path
from typing import Any

from .faults import BoardError

_CLASSES = ("REALTIME", "HIGH", "NORMAL", "LOW", "BULK")
_SEQUENCE = 1  # of packets in a trace: all are written by one writer


def _need(name, extra, what):
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise BoardError(
            f"{what} needs the package {package}: pip install 'ringlane[{extra}]'"
        ) from None


def _title(record, number):
    return record.channel.name or f"{type(record.channel).__name__} {number}"


def flows(record):
    """Return (sent, received) pairs of a ChannelRecord: which send each received message was.

    A message is the first of the same bytes and class that its receiver has not had yet.
    """
    waiting: dict[tuple[Any, ...], list[int]] = {}  # (bytes, class): indices of the sends
    for index, message in enumerate(record.sent):
        if message.accepted:
            waiting.setdefault((message.data, message.priority), []).append(index)
    taken: dict[tuple[Any, ...], int] = {}  # (receiver, bytes, class): how many of them it had
    pairs = []
    for message in record.received:
        what = message.data, message.priority
        turn = taken.get((message.end, *what), 0)
        taken[(message.end, *what)] = turn + 1
        if turn < len(waiting.get(what, ())):
            pairs.append((record.sent[waiting[what][turn]], message))
    return pairs


def trace(path, board):
    """Write a Perfetto trace: a track for each handler, task and core, and for each depth and pin.

    Each message is a flow from its send to its receive. Open it at ui.perfetto.dev.
    """
    protos = _need("perfetto.protos.perfetto.trace.perfetto_trace_pb2", "trace", "trace()")
    TrackEvent = protos.TrackEvent
    builder = _need("perfetto.trace_builder.proto_builder", "trace", "trace()").TraceProtoBuilder()
    tracks: dict[str, int] = {}

    def packet(us):
        made = builder.add_packet()
        made.timestamp = round(us * 1000)
        made.trusted_packet_sequence_id = _SEQUENCE
        return made

    def track(name, counter=None):
        uuid = tracks.get(name)
        if uuid is None:
            uuid = tracks[name] = len(tracks) + 1
            descriptor = packet(0).track_descriptor
            descriptor.uuid = uuid
            descriptor.name = name
            if counter:
                descriptor.counter.unit_name = counter
        return uuid

    def event(us, where, name, kind=TrackEvent.TYPE_INSTANT, **fields):
        made = packet(us).track_event
        made.type = kind
        made.track_uuid = track(where)
        made.name = name
        made.flow_ids.extend(fields.pop("flow", []))
        made.terminating_flow_ids.extend(fields.pop("end", []))
        for key, value in fields.items():
            note = made.debug_annotations.add()
            note.name = key
            if isinstance(value, int):
                note.int_value = value
            else:
                note.string_value = str(value)

    def count(us, where, value, unit):
        made = packet(us).track_event
        made.type = TrackEvent.TYPE_COUNTER
        made.track_uuid = track(where, unit)
        made.counter_value = value

    flow = 0
    for number, record in enumerate(board.channels):
        title = _title(record, number)
        begins: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}
        for sent, received in flows(record):
            flow += 1
            begins.setdefault(id(sent), []).append(flow)
            ends[id(received)] = [flow]
        for message in record.sent:
            verb = "send" if message.accepted else "no room"
            event(
                message.us,
                message.who,
                f"{verb} {title}",
                flow=begins.get(id(message), []),
                data=message.data.hex(" "),
                **_class_of(message),
            )
        for message in record.received:
            event(
                message.us,
                message.who,
                f"recv {title}",
                end=ends.get(id(message), []),
                data=message.data.hex(" "),
                latency=message.latency,
                **_class_of(message),
            )
        for us, depth in record.depths:
            count(us, f"{title}: queued", depth, "messages")
    for name, history in _pins(board):
        for us, level in history:
            count(us, name, level, "level")
    for began, ended, who in board.handler_runs:
        event(began, who, "runs", TrackEvent.TYPE_SLICE_BEGIN)
        event(ended, who, "runs", TrackEvent.TYPE_SLICE_END)
    for us, who, kind, text in board.entries:
        if kind in ("print", "fault", "raised"):
            event(us, who, f"{kind}: {text}")
    Path(path).write_bytes(builder.serialize())


def _class_of(message):
    return {} if message.priority is None else {"priority": _CLASSES[message.priority]}


def _pins(board):
    for number, history in sorted(board.pin_histories().items()):
        if history:
            yield f"GPIO{number}", history


def waves(path, board):
    """Write a VCD file of pins, handlers and the messages each channel holds, in microseconds.

    Beside it goes a .gtkw, which opens the same in GTKWave with all signals shown.
    """
    _need("vcd", "trace", "waves()")
    from vcd import VCDWriter
    from vcd.gtkw import GTKWSave

    path = Path(path)
    changes = []  # (us, order, signal, value)
    names = []
    with open(path, "w") as file, VCDWriter(file, timescale="1 us", init_timestamp=0) as writer:
        for name, history in _pins(board):
            signal = writer.register_var("pins", name, "wire", size=1, init="x")
            names.append(f"pins.{name}")
            changes += [(us, len(names), signal, level) for us, level in history]
        for number, record in enumerate(board.channels):
            name = _title(record, number).replace(" ", "_")
            signal = writer.register_var("queued", name, "integer", size=32, init=0)
            names.append(f"queued.{name}[31:0]")
            changes += [(us, len(names), signal, depth) for us, depth in record.depths]
        runs: dict[str, list[tuple[int, int]]] = {}
        for began, ended, who in board.handler_runs:
            runs.setdefault(who, []).append((began, ended))
        for who, times in sorted(runs.items()):
            name = "".join(each if each.isalnum() else "_" for each in who)
            signal = writer.register_var("handlers", name, "wire", size=1, init=0)
            names.append(f"handlers.{name}")
            for began, ended in times:
                # What takes no time is shown as a microsecond.
                changes += [(began, len(names), signal, 1), (max(ended, began + 1), 0, signal, 0)]
        for us, _, signal, value in sorted(changes, key=lambda each: each[:2]):
            writer.change(signal, us, value)
        writer.close(max([board.us, *(us for us, *_ in changes)]))
    with open(path.with_suffix(".gtkw"), "w") as file:
        save = GTKWSave(file)
        save.dumpfile(str(path.resolve()))
        for name in names:
            save.trace(name)


def plot(path, board):
    """Draw the latencies by class and the depths over time; the path's ending says the format."""
    _need("matplotlib", "plot", "plot()")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    points: dict[
        int | None, tuple[list[float], list[int]]
    ] = {}  # class: (milliseconds, latencies)
    for number, record in enumerate(board.channels):
        for message in record.received:
            if message.latency is not None:
                times, latencies = points.setdefault(message.priority, ([], []))
                times.append(message.us / 1000)
                latencies.append(message.latency)
        times = [us / 1000 for us, _ in record.depths]
        depths = [depth for _, depth in record.depths]
        below.step(times, depths, where="post", label=_title(record, number))
    for priority, (times, latencies) in sorted(
        points.items(), key=lambda each: -1 if each[0] is None else each[0]
    ):
        label = "requests and replies" if priority is None else _CLASSES[priority]
        above.plot(times, latencies, ".", label=label)
    above.set_ylabel("latency, ticks of the channel's clock")
    below.set_ylabel("messages queued")
    below.set_xlabel("ms since reset")
    below.set_xlim(0, board.ms)
    for axes in (above, below):
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="upper right")
    figure.savefig(path)


__all__ = ["flows", "plot", "trace", "waves"]
