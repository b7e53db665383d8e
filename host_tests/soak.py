"""The soak: what takes too long for every run of the tests. `make soak` runs all of it.

soak.py                        every part; a table at the end, and build/soak.json
soak.py threads                one part: sweeps, threads or mutants
soak.py mutants --sample 20    so many of the mutants instead of SAMPLE; --all: every one
soak.py mutants .send:         all mutants that have ".send:" in their names

sweeps: the tests that have longer ranges under RINGLANE_SOAK: every schedule of two contexts, the
random programs, and, where RINGLANE_UF2 names the firmware, every cycle on an emulated RP2040.
threads: messages between threads without a GIL. mutants: which leg of the tests catches which, of
a random sample. Each run goes on where the last one ended, until all have had their turn; with
RINGLANE_SEED it takes the first ones of that seed. build/mutants.json remembers where it is, and
which test caught what: that one is tried first.
"""

import argparse
import bisect
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import mutants
from mutants import legs
from ringlane_host.boards import virtual

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SWEEPS = (
    "explore/test_interleavings.py",
    "explore/test_between.py",
    "engine/test_latency.py",
    "scenarios/test_scenarios.py",
    "firmware/test_bench.py",
    "interrupts/test_soft_handlers.py",
    "models/test_models.py",
    "threads/test_waiting_threads.py",
    "interrupts/test_interrupts.py",
    "interrupts/test_claim_interrupts.py",
    "interrupts/test_fanout_interrupts.py",
    "interrupts/test_request_reply_interrupts.py",
    "link/test_link.py",
    "link/test_remote.py",
    "link/test_streams.py",
    "link/test_taps.py",
    "mqtt/test_bridge.py",
    "mqtt/test_fleet.py",
)
# What two_threads.main() passes, and gets beside the number.
MESSAGES = {
    "mixed sizes and classes": (40_000_000, ""),
    "words": (40_000_000, ", True"),
    "words of two senders": (20_000_000, ", True, 2"),
}
SAMPLE = 150  # mutants a run
OVERTAKES = 100  # of each side, at the least: else it was no race. Senders are ahead by nature


class SoakError(Exception):
    """Something went wrong, or was not there to go wrong."""


def sweeps():
    """Run the tests that are longer in a soak; return {test: {what was visited: how much}}."""
    files = [ROOT / "host_tests" / file for file in SWEEPS]
    report = BUILD / "sweeps.xml"
    report.unlink(missing_ok=True)
    # A core without a test takes one from the other: a file takes too long for a core by itself.
    # And a process that is killed fails the run, as in `make test`.
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "worksteal"]
        + ["--max-worker-restart", "0"]
        + [f"--junitxml={report}", "-o", "junit_family=xunit1", *sorted(map(str, files))],
        cwd=ROOT,
        env=dict(os.environ, RINGLANE_SOAK="1"),
        check=False,
    ).returncode
    if status:
        raise SoakError(f"the sweeps' tests ended with status {status}")
    return visited(report)


def visited(report):
    """Return {test: {what: how much}} of a JUnit report.

    Raises SoakError where that is 0, and where the tests of a file ran and none of them noted it.
    """
    found = {}
    silent = {}  # file: whether it ran, and noted nothing
    for case in ElementTree.parse(report).iter("testcase"):
        file = Path(case.get("file")).stem
        figures = {each.get("name"): int(each.get("value")) for each in case.iter("property")}
        if figures:
            name = f"{file}: {case.get('name')}"
            if not all(figures.values()):
                raise SoakError(f"{name} visited nothing: {figures}")
            found[name] = figures
            silent[file] = False
        elif case.find("skipped") is None:
            silent.setdefault(file, True)
    if not found or any(silent.values()):
        raise SoakError(f"no sweep has noted what it visited: {[f for f in silent if silent[f]]}")
    return found


def sums(tests):
    """Return the lines of a table: what the tests of a file have visited together."""
    files = {}
    for test, figures in tests.items():
        total = files.setdefault(test.partition(":")[0], Counter())
        total["tests"] += 1
        for what, figure in figures.items():
            total[what.partition(" of ")[0]] += figure
    for file, total in sorted(files.items()):
        yield file, ", ".join(f"{figure:,} {what}" for what, figure in total.items())


def threads():
    """Pass MESSAGES between threads; return {run: {what was counted: how often}}."""
    found = {}
    for run, (messages, rest) in MESSAGES.items():
        done = subprocess.run(
            [virtual.micropython(), "-c"]
            + [f"import two_threads; two_threads.main({messages}{rest})"],
            env=dict(
                os.environ, MICROPYPATH=f"{ROOT / 'lib'}:{ROOT / 'host_tests' / 'device'}:.frozen"
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SoakError(f"{run}: {done.stdout}{done.stderr}")
        count, empty, full = map(int, re.findall(r"\d+", done.stdout))
        found[run] = {"messages": count, "found it empty": empty, "found it full": full}
        print(run, found[run], flush=True)
        if count != messages or min(empty, full) < OVERTAKES:
            raise SoakError(f"{run}: too few pre-emptions were seen: {found[run]}")
    return found


def sample(names, size, state):
    """Return (`size` of the names at random, the seed); `state` remembers where to go on."""
    if os.environ.get("RINGLANE_SEED"):
        state = {"seed": int(os.environ["RINGLANE_SEED"])}
    seed = state.setdefault("seed", random.randrange(1 << 31))
    # By a hash of each name, so that mutants may come and go meanwhile.
    order = sorted((hashlib.sha256(f"{seed} {name}".encode()).hexdigest(), name) for name in names)
    at = bisect.bisect(order, (state.get("after", ""), "~"))
    chosen = (order[at:] + order[:at])[:size]
    if chosen:
        state["after"] = chosen[-1][0]
    return [name for _, name in chosen], seed


def catch_mutants(text="", only=None, jobs=None, size=SAMPLE):
    """Print what becomes of each mutant; return a list of legs.Found.

    They are a sample of `size`, all if None, or those with `text` in their names: LookupError if
    there are none. What MicroPython does not compile is no mutant.
    """
    path = BUILD / "mutants.json"
    state = json.loads(path.read_text()) if path.exists() else {}
    everything = mutants.everything()
    if text:
        chosen = [name for name in everything if text in name]
    else:
        count = len(everything) if size is None else size
        chosen, seed = sample(everything, count, state)
        print(f"sample: {len(chosen)} of {len(everything)}, seed {seed}", flush=True)
    tried = [everything[name] for name in chosen if mutants.compiles(everything[name])]
    print(f"MicroPython does not compile {len(chosen) - len(tried)} of them", flush=True)
    known = state.setdefault("caught by", {})
    found = []
    for each in legs.survey(tried, only, jobs, known):
        found.append(each)
        print(f"{each.leg:13} {each.outcome:8} {each.name}   {each.test}", flush=True)
        for test in each.flaky:
            print(f"{'':13} flaky    {test}")
        if each.outcome == "caught":
            known[each.name] = each.leg, each.test, each.limit
    path.write_text(json.dumps(state, indent=1) + "\n")
    return found


def table(results):
    """Return what all parts have found as the lines of a table."""
    lines = []
    for file, what in sums(results.get("sweeps", {})):
        lines.append((file, what))
    for run, figures in results.get("threads", {}).items():
        lines.append(
            (f"threads: {run}", ", ".join(f"{n:,} {what}" for what, n in figures.items()))
        )
    caught = results.get("mutants", [])
    outcomes = [each["leg"] if each["outcome"] == "caught" else each["outcome"] for each in caught]
    for outcome, count in Counter(outcomes).most_common():
        lines.append((f"mutants: {outcome}", f"{count} of {len(caught)}"))
    for part, seconds in results["seconds"].items():
        lines.append((f"time: {part}", f"{seconds / 60:.1f} min"))
    width = max(len(name) for name, _ in lines)
    return [f"{name:{width}}  {what}" for name, what in lines]


def main():
    parser = argparse.ArgumentParser(description="The soak.")
    parser.add_argument("part", nargs="?", choices=["sweeps", "threads", "mutants"])
    parser.add_argument("text", nargs="?", default="", help="of the mutants' names")
    parser.add_argument("--legs", type=lambda text: text.split(","), help="mutants: only these")
    parser.add_argument("--jobs", type=int, help="mutants at once; as many as there are cores")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="mutants: how many")
    parser.add_argument("--all", action="store_true", help="mutants: every one")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    results = {"seconds": {}}
    wrong = []
    for part in ("sweeps", "threads", "mutants"):
        if options.part in (None, part):
            begin = time.monotonic()
            try:
                if part == "mutants":
                    size = None if options.all else options.sample
                    found = catch_mutants(options.text, options.legs, options.jobs, size)
                    results[part] = [each._asdict() for each in found]
                    missed = [each for each in found if each.outcome != "caught"]
                    wrong += [f"{each.outcome}: {each.name}" for each in missed]
                else:
                    results[part] = {"sweeps": sweeps, "threads": threads}[part]()
            except (SoakError, legs.LegError, LookupError) as error:
                wrong.append(f"{part}: {error}")
            results["seconds"][part] = round(time.monotonic() - begin)
    results["wrong"] = wrong
    (BUILD / "soak.json").write_text(json.dumps(results, indent=1) + "\n")
    print("", *table(results), sep="\n")
    if wrong:
        sys.exit("\n".join(["", f"{len(wrong)} went wrong:", *wrong]))


if __name__ == "__main__":
    main()
