"""Injects faults below HDF5 and SQLite, and losses of power, into the commands that change a corpus.

    main.py --logit PROGRAM [--faults N] [--losses N] [--seed N] [--jobs N] [--only NAME,…] [--folder F]

docs/crash-safety.md says what must hold. Stopped by Ctrl-C, it prints what it has.
"""

import argparse
import collections
import concurrent.futures
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

import injection
from checks import Baseline, Violation
from power_loss import Recording
from scenarios import Workshop, all_scenarios


def main():
    options = parse()
    folder = os.path.realpath(options.folder or tempfile.mkdtemp(prefix="logit-faults-"))
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        sys.exit(f"fault-injection: {folder} is not empty; name a folder that is")
    names = options.only.split(",") if options.only else []
    chosen = [scenario for scenario in all_scenarios() if not names or scenario.name in names]
    unknown = set(names) - {scenario.name for scenario in chosen}
    if unknown:
        sys.exit(f"fault-injection: there is no scenario {sorted(unknown)[0]}; "
                 f"there is {', '.join(scenario.name for scenario in all_scenarios())}")
    results = Results()
    try:
        workshop = Workshop(folder, os.path.realpath(options.logit))
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            run(workshop, chosen, options, pool, results)
    finally:
        shutil.rmtree(folder)
    results.print()
    sys.exit(1 if results.violations else 0)


def parse():
    parser = argparse.ArgumentParser(prog="fault-injection", description=__doc__.split("\n")[0])
    parser.add_argument("--logit", required=True, help="the program")
    parser.add_argument("--faults", type=int, default=1000, help="injected faults in all")
    parser.add_argument("--losses", type=int, default=500, help="losses of power in all")
    parser.add_argument("--seed", type=int, default=1, help="chooses which of the possible ones")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--only", help="names of scenarios, separated by commas")
    parser.add_argument("--folder", help="where to work: an empty folder or a new one; removed at the end")
    return parser.parse_args()


class Results:
    def __init__(self):
        self.faults = collections.Counter()  # (scenario, action)
        self.losses = collections.Counter()  # (scenario, loss)
        self.violations = []
        self.begun = time.monotonic()

    def print(self):
        for title, counter in ("faults", self.faults), ("losses of power", self.losses):
            columns = list(dict.fromkeys(how for _, how in counter))
            rows = list(dict.fromkeys(scenario for scenario, _ in counter))
            if not rows:
                continue
            print(f"\n| {title} | " + " | ".join(columns) + " | all |\n|" + "---|" * (len(columns) + 2))
            for row in rows:
                cells = [counter[row, column] for column in columns]
                print(f"| {row} | " + " | ".join(map(str, cells)) + f" | {sum(cells)} |")
            print("| all | " + " | ".join(str(sum(counter[row, column] for row in rows)) for column in columns)
                  + f" | {sum(counter.values())} |")
        print(f"\n{sum(self.faults.values())} faults and {sum(self.losses.values())} losses of power in "
              f"{time.monotonic() - self.begun:.0f} s; {len(self.violations)} violations")
        for text in self.violations:
            print(text)


def shares(scenarios, capacities, budget):
    """The budget by weight, none above what a scenario has."""
    share, left = [0] * len(scenarios), budget
    while left > 0 and any(share[place] < capacity for place, capacity in enumerate(capacities)):
        open_places = [place for place, capacity in enumerate(capacities) if share[place] < capacity]
        weight = sum(scenarios[place].weight for place in open_places)
        for place in open_places:
            more = max(1, int(left * scenarios[place].weight / weight))
            share[place] += min(more, capacities[place] - share[place], budget - sum(share))
        left = budget - sum(share)
    return share


def run(workshop, scenarios, options, pool, results):
    baselines, recordings = [], []
    for scenario in scenarios:
        print(f"preparing: {scenario.name}", file=sys.stderr)
        try:
            baselines.append(Baseline(workshop, scenario))
            recordings.append(Recording(baselines[-1]))
        except Violation as violation:
            sys.exit(f"fault-injection: {scenario.name}: {violation}")
    tasks = []
    every = [injection.choose(recording.counted, options.seed) for recording in recordings]
    for place, share in enumerate(shares(scenarios, list(map(len, every)), options.faults)):
        for n, action in every[place][:share]:
            tasks.append((scenarios[place], f"call {n}, {action}", results.faults, action,
                          injection.inject, (baselines[place], n, action)))
    every = [recording.choose(options.seed) for recording in recordings]
    for place, share in enumerate(shares(scenarios, list(map(len, every)), options.losses)):
        for count, loss in every[place][:share]:
            tasks.append((scenarios[place], f"power lost after call {count}, {loss}", results.losses, loss,
                          recordings[place].lose, (count, loss, options.seed)))
    perform(tasks, pool, results)


def perform(tasks, pool, results):
    stopped = threading.Event()
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda *_: stopped.set())

    def one(number, task):
        if stopped.is_set():
            return task, None, None
        scenario, what, counter, column, body, arguments = task
        try:
            return task, body(*arguments, f"{number}"), None
        except Violation as violation:
            return task, True, f"{scenario.name}: {what}: {violation}"
        except Exception:
            return task, True, f"{scenario.name}: {what}: {traceback.format_exc()}"

    futures = [pool.submit(one, number, task) for number, task in enumerate(tasks)]
    for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
        (scenario, _, counter, column, _, _), hit, violation = future.result()
        if hit is not None:
            counter[scenario.name, column] += 1
        if violation:
            results.violations.append(violation)
            print(violation, file=sys.stderr)
        if done % 50 == 0 and not stopped.is_set():
            print(f"{done} of {len(tasks)}", file=sys.stderr)


if __name__ == "__main__":
    main()
