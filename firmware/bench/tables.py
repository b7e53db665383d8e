"""The bench's sections as the host sees them: what each runs on the board, and its tables.

A section gives `programs(scale)`: lists of calls, each list run in a fresh interpreter, each call
printing one line of JSON. `read` makes of those lines what goes into the JSON file, and
`show` prints that.
"""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import interrupt
import ringlane_host
from ringlane_host.boards import BoardError
from ringlane_host.boards.compiler import compile_to

PACKAGE = Path(ringlane_host.__file__).resolve().parent.parent / "ringlane"
OURS = "ringlane"
ONE = "one PriorityChannel"
COLUMNS = {  # title: size in bytes, one word, all classes in turn
    "4 B": (4, False, False),
    "16 B": (16, False, False),
    "64 B": (64, False, False),
    "256 B": (256, False, False),
    "16 B, 5 classes": (16, False, True),
    "one word": (4, True, False),
}
SLOTS = "16 B"  # the size at which capacities, and long runs, are compared
CAPACITIES = (8, 1024)
SENT = {"16 B": (16, False), "one word": (4, True)}  # by multicast and anycast
RECEIVERS = (1, 2, 4, 8)
POOL = 4  # receivers of an anycast channel
FEW = 2  # receivers where 1,024 messages of each must fit into a small board
FLAT = ("Multicast", "RoundRobin", "LeastLoaded", "Random", "AffinityFirst")
FURTHER_MOST = 0.6  # of one PriorityChannel.send, each further receiver of multicast
TURN_MOST = 1.3  # of one PriorityChannel.send, ROUND_ROBIN
# The goals on an RP2040: cycles net, by column; microseconds, p50; cycles; bytes.
CYCLES_MOST = {"16 B": 2093, "256 B": 3893, "one word": 1743}
WAKE_UP_MOST = {"await arecv": 340, "ten tasks, each await arecv": 1200}
INTERRUPT_MOST = {"ch.send_word in a handler": 2600, "ch.trigger of a register": 1300}
IMPORT_MOST, MPY_MOST = 13_000, 9_000
MICROSECONDS = {"unit": "us", "hz": 1_000_000}
# What a PriorityChannel needs.
ENGINE = "__init__ checks ends lanes port priority probe queue verbs_direct".split()
PATTERNS = ("MulticastChannel", "AnycastChannel", "RequestReplyChannel", "waiting")
MPY_ARCH = "armv6m"
LEAST_IMPORT = 1000  # bytes: a smaller module was imported before


@dataclass
class Scale:
    """How much is measured: messages of a round are 20 * repeat, sends 20 * sends * chunks."""

    chip: bool
    repeat: int
    rounds: int
    sends: int
    chunks: int
    send_rounds: int
    wake_ups: int


def scale_of(chip, quick):
    """Return the Scale for a chip, whose cycles repeat exactly, or a computer, which is noisy.

    There it is the best of many rounds, long enough to have the collector at work.
    """
    if chip:
        rounds = 1 if quick else 2
        return Scale(True, 1, rounds, 1, 1, 1, 10 if quick else 100)
    if quick:
        return Scale(False, 50, 2, 1, 30, 2, 20)
    return Scale(False, 250, 50, 1, 250, 30, 500)


def per_message(time, result, conditions):
    """Return what a message takes: in cycles, or in ns if the clock counts microseconds."""
    ticks = (time - result["empty_loop"]) / result["messages"]
    return ticks if conditions["unit"] == "cycles" else ticks * 1e9 / conditions["hz"]


def unit_of(conditions):
    return "cycles" if conditions["unit"] == "cycles" else "ns"


def rows_of(columns, conditions, ratio):
    """Return one row for each contender and column; `ratio(time, times)` gives its ratio."""
    rows = []
    for title, result in columns.items():
        allocated = dict(result["allocated"])
        times = {name: per_message(time, result, conditions) for name, time in result["times"]}
        for name, time in times.items():
            rows.append(
                {
                    "contender": name,
                    "column": title,
                    "time": round(time, 1),
                    "unit": unit_of(conditions),
                    "ratio": round(ratio(time, times), 3),
                    "allocated": allocated[name],
                }
            )
    return rows


def print_table(table):
    """Print rows of cells, the first column to the left, the others to the right."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    for row in table:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    print()


def print_ratios(rows, to):
    """Print times and ratios `to` the contender whose ratios are 1, and the bytes allocated."""
    columns = list(dict.fromkeys(row["column"] for row in rows))
    cells = {(row["contender"], row["column"]): row for row in rows}
    table = [[f"{rows[0]['unit']}, and as a ratio to {to}", *columns, "bytes allocated"]]
    for name in dict.fromkeys(row["contender"] for row in rows):
        of = [cells[name, column] for column in columns]
        times = [f"{row['time']:,.0f}  {row['ratio']:.2f}" for row in of]
        allocated = [f"{row['allocated']:.0f}" for row in of]
        same = allocated[0] if len(set(allocated)) == 1 else ", ".join(allocated)
        table.append([name, *times, same])
    print_table(table)


def kept(value, most):
    shown = f"{value:,.0f}" if isinstance(most, int) else f"{value:.2f}"
    return f"{shown} ({'kept' if value <= most else 'MISSED'}: at most {most:,})"


def print_goals(goals, found, text):
    """Print whether each goal was kept, {name: most}, of {name: figure}."""
    for name, most in goals.items():
        if name in found:
            print(f"{name}, {text}: {kept(found[name], most)}")
    print()


class Messages:
    """One message through a PriorityChannel and through what one would write instead."""

    key = "messages"

    def __init__(self, columns=tuple(COLUMNS)):
        self.columns = columns

    def programs(self, scale):
        size = COLUMNS[SLOTS][0]
        plan = []
        for title in self.columns:
            plan.append(f"bench.column(*{COLUMNS[title]}, {scale.repeat}, {scale.rounds})")
        if scale.chip:  # elsewhere the rounds are long enough
            plan.append(f"bench.long_run({size}, {5 if scale.rounds == 1 else 200})")
        return [plan]

    def read(self, results, conditions, scale):
        long_run = results.pop() if scale.chip else None
        measured = dict(zip(self.columns, results, strict=True))
        return {
            "count": results[0]["messages"],
            "rounds": scale.rounds,
            "columns": list(self.columns),
            "rows": rows_of(measured, conditions, lambda time, times: times[OURS] / time),
            "long_run": long_run
            and {
                "messages": long_run["messages"],
                "ns": {
                    name: per_message(time, long_run, MICROSECONDS)
                    for name, time in long_run["times"]
                },
            },
        }

    def show(self, found):
        columns = found["columns"]
        unit = found["rows"][0]["unit"]
        cycles = unit == "cycles"
        print(
            "A message is sent, then received and unpacked.\n"
            f"{found['count']:,} messages a round, the best of {found['rounds']}.\n"
        )
        rows = {(row["contender"], row["column"]): row for row in found["rows"]}
        names = list(dict.fromkeys(row["contender"] for row in found["rows"]))
        names.remove(OURS)
        table = [["cycles  ratio" if cycles else "", *columns]]
        table.append(
            [f"{OURS}, {unit}", *(f"{rows[OURS, title]['time']:,.0f}" for title in columns)]
        )
        for name in names:
            cells = []
            for title in columns:
                row = rows.get((name, title))  # not there: it passes no such messages
                count = f"{row['time']:,.0f}  " if row and cycles else ""
                cells.append(f"{count}{row['ratio']:.2f}" if row else "-")
            table.append([f"{OURS} / {name}", *cells])
        print_table(table)
        print("Bytes allocated per message (0: the loop also ran on a locked heap)")
        for name in (OURS, *names):
            there = [rows[name, title] for title in columns if (name, title) in rows]
            each = [f"{row['allocated']:.0f}" for row in there]
            same = each[0] if len(set(each)) == 1 else ", ".join(each)
            print(f"    {name}: {same}")
        if cycles:
            ours = {title: rows[OURS, title]["time"] for title in columns}
            print_goals(CYCLES_MOST, ours, f"cycles of {OURS}")
        if found["long_run"]:
            times = found["long_run"]["ns"]
            shares = ", ".join(
                f"{times[OURS] / time:.2f} of {name}"
                for name, time in times.items()
                if name != OURS
            )
            print(
                f"{found['long_run']['messages']:,} messages of {SLOTS} in one run, collections "
                f"included: {OURS} takes {shares}"
            )
        print()


class Multicast:
    """One send to several receivers."""

    key = "multicast"

    def programs(self, scale):
        rest = f"{scale.sends}, {scale.chunks}, {scale.send_rounds})"
        return [
            [f"sections.multicast({size}, {word}, {count}, {rest}"]
            for size, word in SENT.values()
            for count in RECEIVERS
        ]

    def read(self, results, conditions, scale):
        found = {"rounds": scale.send_rounds, "count": results[0]["messages"]}
        for at, title in enumerate(SENT):
            measured = results[at * len(RECEIVERS) : (at + 1) * len(RECEIVERS)]
            columns = {str(count): each for count, each in zip(RECEIVERS, measured, strict=True)}
            rows = rows_of(columns, conditions, lambda time, times: time / times[ONE])
            found[title] = {"rows": rows, "further": further_of(rows)}
        return found

    def show(self, found):
        print(
            "One send to so many receivers, which take it after the loop. A deque's item is\n"
            "(time, class, a copy that all share).\n"
            f"{found['count']:,} sends a round, the best of {found['rounds']}.\n"
        )
        for title in SENT:
            print(f"{title}, receivers:")
            print_ratios(found[title]["rows"], f"{ONE}.send")
            further = found[title]["further"]
            print(f"Each further receiver, as a ratio to {ONE}.send:")
            for name, ratios in further.items():
                steps = ", ".join(
                    f"{step} {ratio:.2f}" for step, ratio in ratios.items() if step != "all"
                )
                over = kept(ratios["all"], FURTHER_MOST) if name == "multicast" else None
                print(f"    {name}: {over or format(ratios['all'], '.2f')}; {steps}")
            print()


def further_of(rows):
    """Return, for each contender, what a further receiver costs as a share of one send."""
    ratios = {}
    for row in rows:
        ratios.setdefault(row["contender"], {})[int(row["column"])] = row["ratio"]
    del ratios[ONE]
    further = {}
    for name, by_count in ratios.items():
        first, last = RECEIVERS[0], RECEIVERS[-1]
        steps = {"all": (by_count[last] - by_count[first]) / (last - first)}
        for few, many in zip(RECEIVERS, RECEIVERS[1:], strict=False):
            steps[f"{few}-{many}"] = (by_count[many] - by_count[few]) / (many - few)
        further[name] = {step: round(ratio, 3) for step, ratio in steps.items()}
    return further


class Anycast:
    """One send to one receiver of a pool."""

    key = "anycast"

    def programs(self, scale):
        plan = []
        for size, word in SENT.values():
            plan.append(
                f"sections.anycast({size}, {word}, {POOL}, {scale.sends}, {scale.chunks}, "
                f"{scale.send_rounds})"
            )
        return [plan]

    def read(self, results, conditions, scale):
        columns = dict(zip(SENT, results, strict=True))
        return {
            "rounds": scale.send_rounds,
            "count": results[0]["messages"],
            "rows": rows_of(columns, conditions, lambda time, times: time / times[ONE]),
        }

    def show(self, found):
        print(
            f"One send to a pool of {POOL} receivers, which take it after the loop; for\n"
            "AFFINITY_FIRST half of them are on the sender's core. The deques pass over none\n"
            f"that is full. {found['count']:,} sends a round, the best of {found['rounds']}.\n"
        )
        print_ratios(found["rows"], f"{ONE}.send")
        for row in found["rows"]:
            if row["contender"] == "ROUND_ROBIN":
                print(f"ROUND_ROBIN, {row['column']}: {kept(row['ratio'], TURN_MOST)}")
        print()


class Capacity:
    """What capacity costs."""

    key = "capacity"

    def programs(self, scale):
        size = COLUMNS[SLOTS][0]
        chunks = 1 if scale.chip else scale.chunks * 5
        first = f"bench.capacity({size}, {CAPACITIES}, {scale.repeat}, {scale.rounds})"
        rest = f"{FEW}, {CAPACITIES}, {chunks}, {scale.send_rounds})"
        others = [[f"sections.flat({kind!r}, {rest}"] for kind in FLAT]
        return [[first], *others]

    def read(self, results, conditions, scale):
        found = {
            result.get("name", "PriorityChannel, send + recv"): {
                str(slots): per_message(time, result, conditions)
                for slots, time in result["times"]
            }
            for result in results
        }
        return {"unit": unit_of(conditions), "times": found}

    def show(self, found):
        print(f"{found['unit']} of a message of {SLOTS}; below the first line, of the send of a")
        print(f"word to {FEW} receivers or to one of them.\n")
        table = [["slots", *(f"{slots:,}" for slots in CAPACITIES)]]
        for name, times in found["times"].items():
            table.append([name, *(f"{time:,.0f}" for time in times.values())])
        print_table(table)


class RequestReply:
    """One round trip, without waiting."""

    key = "request-reply"
    size = COLUMNS[SLOTS][0]

    def programs(self, scale):
        call = f"sections.request_reply({self.size}, {scale.repeat}, {scale.rounds})"
        return [[call]]

    def read(self, results, conditions, scale):
        def ratio(time, times):
            return times["request-reply"] / time

        return {
            "rounds": scale.rounds,
            "count": results[0]["messages"],
            "rows": rows_of({SLOTS: results[0]}, conditions, ratio),
        }

    def show(self, found):
        print(
            "send_request, recv_request, send_response, recv_response, each with its result.\n"
            "request-reply matches replies in any order and keeps a histogram of the round\n"
            "trips; the two Channels carry an id of two bytes, and reply in order only.\n"
            f"{found['count']:,} round trips a round, the best of {found['rounds']}.\n"
        )
        table = [[f"{found['rows'][0]['unit']}, {SLOTS}", "", "request-reply /", "allocated"]]
        for row in found["rows"]:
            cells = f"{row['time']:,.0f}", f"{row['ratio']:.2f}", f"{row['allocated']:.0f}"
            table.append([row["contender"], *cells])
        print_table(table)


class ZeroCopy:
    """Messages left where they were written."""

    key = "zero-copy"
    columns = ("16 B", "256 B")

    def programs(self, scale):
        plan = []
        for title in self.columns:
            plan.append(f"sections.zero_copy({COLUMNS[title][0]}, {scale.repeat}, {scale.rounds})")
        return [plan]

    def read(self, results, conditions, scale):
        columns = dict(zip(self.columns, results, strict=True))
        return {
            "rounds": scale.rounds,
            "count": results[0]["messages"],
            "rows": rows_of(columns, conditions, lambda time, times: time / times["send + recv"]),
        }

    def show(self, found):
        print(
            "A Channel with views. Without the producer's writing of the payload, which after\n"
            "`claim` goes into the slot and before `send` into a buffer; `view` is looked up.\n"
            f"{found['count']:,} messages a round, the best of {found['rounds']}.\n"
        )
        print_ratios(found["rows"], "send + recv")


class Calls:
    """One call of what a program asks beside its messages."""

    key = "calls"

    def programs(self, scale):
        return [[f"calls.calls({scale.repeat}, {scale.rounds})"]]

    def read(self, results, conditions, scale):
        rows = rows_of({"a call": results[0]}, conditions, lambda time, times: 1)
        return {"rounds": scale.rounds, "count": results[0]["messages"], "rows": rows}

    def show(self, found):
        print(
            "On a PriorityChannel. Net of a call of a function that does nothing.\n"
            f"{found['count']:,} calls a round, the best of {found['rounds']}.\n"
        )
        table = [[found["rows"][0]["unit"], "", "bytes allocated"]]
        for row in found["rows"]:
            table.append([row["contender"], f"{row['time']:,.0f}", f"{row['allocated']:.0f}"])
        print_table(table)


class WakeUp:
    """From a handler to the task that waits."""

    key = "wake-up"

    def programs(self, scale):
        return [[f"wakeup.measure({scale.wake_ups})"]]

    def read(self, results, conditions, scale):
        (measured,) = results
        rows = []
        for name, ticks, allocated in measured["rows"]:
            us = sorted(each * 1e6 / measured["hz"] for each in ticks)
            rows.append(
                {
                    "contender": name,
                    "p50_us": statistics.median_low(us),
                    "p99_us": us[-(-len(us) * 99 // 100) - 1],
                    "max_us": us[-1],
                    "allocated": allocated,
                    "ticks": ticks,
                }
            )
        return {
            "count": scale.wake_ups,
            "source": measured["source"],
            "unit": measured["unit"],
            "hz": measured["hz"],
            "rows": rows,
        }

    def show(self, found):
        print(
            f"{found['count']} wake-ups, each by {found['source']}, when the task sleeps: from "
            "before the\nhandler's send to the task that has the message. No collection falls "
            "into it."
        )
        if found["source"] == "a second thread":
            print(
                "Here poll looks about every millisecond, which is most of it: compare with the\n"
                "others of this table only, and their bytes allocated."
            )
        print()
        table = [["microseconds", "p50", "p99", "max", "bytes a wake-up"]]
        for row in found["rows"]:
            times = [f"{row[key]:,.1f}" for key in ("p50_us", "p99_us", "max_us")]
            table.append([row["contender"], *times, f"{row['allocated']:.0f}"])
        print_table(table)
        if found["unit"] == "cycles":
            p50 = {row["contender"]: row["p50_us"] for row in found["rows"]}
            print_goals(WAKE_UP_MOST, p50, "p50 in microseconds")


class Interrupt:
    """One hard interrupt of a pin, from its edge to the end of the handler."""

    key = "interrupt"

    def programs(self, scale):
        return []

    def read_from(self, target, uf2):
        """Measure by itself: only the emulated chip's pins can be driven."""
        return interrupt.measure(uf2) if target == "rp2040" else None

    def show(self, found):
        if found is None:
            print("On the emulated RP2040 only: make bench TARGET=rp2040 UF2=firmware.uf2\n")
            return
        empty = found[0][1]
        table = [["cycles", "in all", "beyond the first"]]
        table += [[name, f"{took:,}", f"{took - empty:,}"] for name, took, _ in found]
        print_table(table)
        print_goals(INTERRUPT_MOST, {name: took for name, took, _ in found}, "cycles")


class Footprint:
    """RAM of the imports, and sizes of the modules."""

    key = "footprint"

    def programs(self, scale):
        others = [[f"footprint.pattern({name!r})"] for name in PATTERNS]
        return [["footprint.footprint()"], *others]

    def read(self, results, conditions, scale):
        first, *others = results
        for each in others:
            if each["import"] < LEAST_IMPORT:
                size = each["import"]
                raise BoardError(f"WrongResult: {each['name']} takes {size} B, so it was there")
        return {
            "chip": conditions["unit"] == "cycles",
            "import": first["import"],
            "channel": (first["first"], first["channel"], first["memory"]),
            "further": {each["name"]: each["import"] for each in others},
            "channels": {
                each["name"]: (each["channel"], each["memory"])
                for each in others
                if "channel" in each
            },
            "mpy": mpy_sizes(),
            "mpy_arch": MPY_ARCH,
        }

    def show(self, found):
        print(
            "RAM: {:,} B to import PriorityChannel; the first channel, of 16 messages a class, "
            "takes {:,} B with\nwhat it imports, a further one {:,} B, where memory() says {:,}.\n"
            "After that, each alone in a fresh interpreter:".format(
                found["import"], *found["channel"]
            )
        )
        for name, size in found["further"].items():
            took = found["channels"].get(name)
            beside = (
                "; one of 8 takes {:,} B, where memory() says {:,}".format(*took) if took else ""
            )
            print(f"    {name}: {size:,} B{beside}")
        sizes = found["mpy"]
        each = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        engine = sum(sizes[name] for name in ENGINE)
        print(
            f".mpy for {found['mpy_arch']}: {engine:,} B for a PriorityChannel "
            f"({', '.join(ENGINE)}), {sum(sizes.values()):,} B in all ({each})\n"
        )
        print_goals({"its .mpy": MPY_MOST}, {"its .mpy": engine}, "bytes")
        if found["chip"]:
            print_goals({"its import": IMPORT_MOST}, {"its import": found["import"]}, "bytes")


def mpy_sizes():
    """Return the bytes of each module as .mpy for MPY_ARCH."""
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(PACKAGE.glob("*.py")):
            if source.stem == "manifest":  # MicroPython's build runs it
                continue
            made = compile_to(folder, MPY_ARCH, source, f"{PACKAGE.name}/{source.name}")
            sizes[source.stem] = made.stat().st_size
    return sizes


SECTIONS = {
    each.key: each
    for each in (
        Messages,
        Multicast,
        Anycast,
        Capacity,
        RequestReply,
        ZeroCopy,
        Calls,
        WakeUp,
        Interrupt,
        Footprint,
    )
}
