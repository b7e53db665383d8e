"""Cycles by step of the hot verbs, measured on the emulated RP2040.

    profile.py --uf2 RPI_PICO.uf2 [--size 16] [--form verbs] [--taps]

Each verb is cut off after each of its steps in turn (`#: step("…")` in lib/ringlane/verbs.py), and
what is left is compiled and timed: so a step's cycles are those of the real code around it, its
helpers' calls included. Interrupts are masked; the loop's own cycles are taken off. Then the same
verbs, and those of the other patterns, plain and with a tap: `--taps` measures these only.

Exit status 0: measured.
"""

import argparse
import ast
import re
import sys
import tempfile
from pathlib import Path

from ringlane_host.boards.emulated import DeviceError, EmulatedPico, compiled

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "lib" / "ringlane"
VERBS = {"send": "make_sender", "send_word": "make_sender"}
VERBS |= {"recv": "make_receiver", "recv_word": "make_receiver"}
CALL_VERBS = "send_request recv_request send_response recv_response"
CALLS = 7  # of one run, as many as a lane of 8 has room for beside one to begin with

ON_THE_CHIP = """
import gc, machine, time
from ringlane import NORMAL, PriorityChannel, cycles
cycles()
LEFT = 0xE000E018  # SysTick: what is left of its period, counting down

def run_send(f, data, level):
    begin = machine.mem32[LEFT]
    for _ in range({calls}):
        f(data, level)
    return begin - machine.mem32[LEFT] & 0xFFFFFF

def run_recv(f, buf, _):
    begin = machine.mem32[LEFT]
    for _ in range({calls}):
        f(buf)
    return begin - machine.mem32[LEFT] & 0xFFFFFF

def run_recv_word(f, *_):
    begin = machine.mem32[LEFT]
    for _ in range({calls}):
        f()
    return begin - machine.mem32[LEFT] & 0xFFFFFF

def run_nothing():
    begin = machine.mem32[LEFT]
    for _ in range({calls}):
        pass
    return begin - machine.mem32[LEFT] & 0xFFFFFF

def run_ids(f, ids, buf):
    begin = machine.mem32[LEFT]
    for id in ids:
        f(id, buf)
    return begin - machine.mem32[LEFT] & 0xFFFFFF

def masked(run, *args):
    gc.collect()
    state = machine.disable_irq()
    took = run(*args) - run_nothing()
    machine.enable_irq(state)
    return took

def measure_calls():
    # As measure_taps, of send_request, recv_request, send_response and recv_response.
    from ringlane import RequestReplyChannel
    from ringlane.tap import Recorder
    buf = bytearray({size})
    for head in (None, 0, 4, 16):
        tap = None if head is None else Recorder(16, head)
        rpc = RequestReplyChannel(8, slot_size={size}, tap=tap)
        print(*[min([calls(rpc, verb, buf) for _ in range(3)]) for verb in range(4)])

def calls(rpc, verb, buf):
    # Eight of them, of which seven are timed, at that verb.
    asked = [rpc.send_request(buf)]
    if verb == 0:
        took = masked(run_recv, rpc.send_request, buf, 0)
    else:
        asked += [rpc.send_request(buf) for _ in range({calls})]
    came = [rpc.recv_request(buf)[1]]
    if verb == 1:
        took = masked(run_recv, rpc.recv_request, buf, 0)
        came = asked
    else:
        came += [rpc.recv_request(buf)[1] for _ in range({calls})]
    for number, f in ((2, rpc.send_response), (3, rpc.recv_response)):
        f(came[0], buf)
        if verb == number:
            took = masked(run_ids, f, came[1:], buf)
        else:
            run_ids(f, came[1:], buf)
    return took

def measure_taps(receivers, multicast):
    # What a whole call of each verb takes: plain, and with a tap that keeps so many bytes. Of a
    # PriorityChannel, or of a channel to so many receivers, and the first of them.
    from ringlane import ROUND_ROBIN, AnycastChannel, MulticastChannel
    from ringlane.tap import Recorder
    for head in (None, 0, 4, 16):
        tap = None if head is None else Recorder(16, head)
        took = []
        for verb, size in (("send", {size}), ("send_word", 4), ("recv", {size}), ("recv_word", 4)):
            if receivers:
                made = MulticastChannel if multicast else AnycastChannel
                option = 8 if multicast else ROUND_ROBIN
                ch = made(8, option, slot_size={size}, max_receivers=receivers, tap=tap)
                ends = [ch.add_receiver() for _ in range(receivers)]
            else:
                ch = PriorityChannel(8, slot_size={size}, tap=tap)
                ends = [ch]
            data = 5 if verb == "send_word" else bytearray(size)
            best = None
            for _ in range(3):
                for end in ends:
                    end.clear()
                for _ in range(1 if verb[0] == "s" else 8 * (1 if multicast else receivers)):
                    ch.send(bytearray(size), NORMAL)
                f = getattr(ch if verb[0] == "s" else ends[0], verb)
                if verb[0] == "r":
                    f(data) if verb == "recv" else f()
                timed = run_recv if verb == "recv" else run_recv_word
                timed = run_send if verb[0] == "s" else timed
                gc.collect()
                state = machine.disable_irq()
                each = timed(f, data, NORMAL) - run_nothing()
                machine.enable_irq(state)
                best = each if best is None or each < best else best
            took.append(best)
        print(*took)

def measure(verb, makers):
    sends = verb[:4] == "send"
    size = 4 if "word" in verb else {size}
    ch = PriorityChannel(8, slot_size=size)
    buf = bytearray(size)
    data = 5 if verb == "send_word" else buf
    timed = run_send if sends else run_recv if verb == "recv" else run_recv_word
    for make in makers:
        best = None
        for _ in range(3):
            f = make(ch._sender if sends else ch._receiver, ch)
            ch.clear()
            if not sends:
                for _ in range(8):
                    ch.send(buf, NORMAL)
            if sends:
                f(data, NORMAL)
            elif verb == "recv":
                f(data)
            else:
                f()
            gc.collect()
            state = machine.disable_irq()
            took = timed(f, data, NORMAL) - run_nothing()
            machine.enable_irq(state)
            best = took if best is None or took < best else best
        print(best)
"""


def variants(text, factory, verb):
    """Return [(what came last, module text)] of a verb that is cut off after each step.

    The text of each makes a function `make` as the factory does, whose verb is cut off.
    """
    tree = ast.parse(text)
    lines = text.splitlines()
    outer = next(node for node in tree.body if getattr(node, "name", None) == factory)
    inner = next(node for node in outer.body if getattr(node, "name", None) == verb)
    body = inner.body[1:]  # without its docstring
    ends = []
    for number in range(body[0].lineno - 1, inner.end_lineno + 1):
        marker = re.match(r'\s*#: step\("([^"]+)"', lines[number - 1])
        if marker:
            before = sum(each.end_lineno < number for each in body)
            if before and (not ends or ends[-1][1] < before):
                ends.append((ast.unparse(body[before - 1]).splitlines()[0], before))
            name = marker[1]
        elif lines[number - 1].strip() == "# stamped.":
            ends.append((name, sum(each.end_lineno < number for each in body)))
    ends.append(("return", len(body)))
    nothing = ast.parse("return False" if inner.returns else "return None").body
    # What the whole verb closes over, after the return: so each variant has as many cells.
    names = {node.id for node in ast.walk(inner) if isinstance(node, ast.Name)}
    held = {
        each.id for node in outer.body if isinstance(node, ast.Assign) for each in node.targets
    }
    held |= {each.arg for each in outer.args.args}
    dead = ast.parse("\n".join(sorted(names & held))).body
    top = [
        node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)
    ]
    setup = [node for node in outer.body[1:] if not isinstance(node, ast.FunctionDef | ast.Return)]
    made = [("call", [], nothing)] + [
        (title, body[:count], nothing if count < len(body) else []) for title, count in ends
    ]
    found = []
    for title, kept, last in made:
        cut = ast.FunctionDef(
            inner.name, inner.args, kept + last + dead, inner.decorator_list, inner.returns
        )
        give = ast.parse(f"return {verb}").body
        make = ast.FunctionDef("make", outer.args, [*setup, cut, *give], [], None)
        module = ast.Module([*top, make], [])
        found.append((title, ast.unparse(ast.fix_missing_locations(module))))
    return found


def main():
    """Measure, print, return the exit status."""
    parser = argparse.ArgumentParser(description="cycles by step of the hot verbs")
    parser.add_argument("--uf2", required=True, help="firmware of the emulated RP2040")
    parser.add_argument("--size", type=int, default=16, help="bytes of a message (%(default)s)")
    parser.add_argument("--form", default="verbs", help="module of lib/ringlane (%(default)s)")
    parser.add_argument("--taps", action="store_true", help="only what taps cost")
    options = parser.parse_args()
    text = (PACKAGE / f"{options.form}.py").read_text().replace("from .", "from ringlane.")
    verbs = {} if options.taps else VERBS
    cut = {verb: variants(text, factory, verb) for verb, factory in verbs.items()}
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for verb, made in cut.items():
            for number, (_, module) in enumerate(made):
                path = Path(folder) / f"{verb}_{number}.py"
                path.write_text(module)
                sources.append(path)
        files = compiled(PACKAGE, *sources)
    program = ON_THE_CHIP.format(calls=CALLS, size=options.size)
    try:
        with EmulatedPico(options.uf2, files) as pico:
            for verb, made in cut.items():
                pico.reset()
                names = [f"{verb}_{number}" for number in range(len(made))]
                code = f"{program}\nmeasure({verb!r}, [__import__(name).make for name in {names}])"
                took = [int(line) / CALLS for line in pico.exec(code).split()]
                print(f"{verb}, {4 if 'word' in verb else options.size} bytes: cycles")
                last = 0.0
                for (title, _), cycles in zip(made, took, strict=True):
                    print(f"    {title[:50]:50} {cycles - last:6.0f} {cycles:7.0f}")
                    last = cycles
            usual = " ".join(VERBS)
            for kind, verbs, code in (
                ("PriorityChannel", usual, "measure_taps(0, True)"),
                ("multicast to 1", usual, "measure_taps(1, True)"),
                ("multicast to 4", usual, "measure_taps(4, True)"),
                ("anycast to one of 4", usual, "measure_taps(4, False)"),
                ("RequestReplyChannel", CALL_VERBS, "measure_calls()"),
            ):
                pico.reset()
                print(f"{kind} with a tap, {verbs}: cycles", flush=True)
                lines = pico.exec(f"{program}\n{code}").splitlines()
                for title, line in zip(
                    ["plain", *(f"head={n}" for n in (0, 4, 16))], lines, strict=True
                ):
                    took = "".join(f"{int(n) / CALLS:8.0f}" for n in line.split())
                    print(f"    {title:10}{took}")
    except (DeviceError, FileNotFoundError) as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
