"""The soak: what takes too long for every run of the tests.

soak.py                        all of it; a table at the end, and build/soak.json
soak.py mutants lanes.send     the mutants that have "lanes.send" in their names
"""

import argparse
import sys

import mutants
from mutants import legs


def catch_mutants(text, only, jobs):
    """Print which leg catches each mutant; return them all."""
    found = []
    for each in legs.survey((name for name in mutants.ALL if text in name), only, jobs):
        found.append(each)
        print(f"{each.leg or 'NOT CAUGHT':14} {each.name}   {each.test or ''}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description="The soak.")
    parser.add_argument("part", nargs="?", choices=["mutants"])
    parser.add_argument("text", nargs="?", default="")
    parser.add_argument("--legs", type=lambda text: text.split(","), help="only these")
    parser.add_argument("--jobs", type=int, help="at once; as many as there are cores")
    options = parser.parse_args()
    found = catch_mutants(options.text, options.legs, options.jobs)
    missed = [each for each in found if not each.leg]
    print(f"{len(found)} mutants, {len(missed)} not caught")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
