"""One fault a run: the n-th system call of a command is killed, torn, cut short or fails."""

import os
import random
import shutil

import fault_log
from checks import Violation, expect_sentence
from disk import Disk

ANY = ["kill", "EIO", "EIO+"]
OF_SPACE = ["ENOSPC", "ENOSPC+"]
OF_WRITES = ["torn", "short", "short+"]


def actions(call):
    """The actions that mean something for a call."""
    found = list(ANY)
    if call.kind in ("write", "create", "mkdir", "rename", "link"):
        found += OF_SPACE
    if call.kind == "write" and len(call.data) > 1:
        found += OF_WRITES
    return found


def choose(calls, seed):
    """(n, action) pairs in an order in which each call comes once before any comes twice."""
    source = random.Random(seed)
    left = []
    for place, call in enumerate(calls):
        for turn, action in enumerate(source.sample(actions(call), len(actions(call)))):
            left.append((turn, source.random(), place + 1, action))
    return [(n, action) for _, _, n, action in sorted(left)]


def inject(baseline, n, action, name):
    """Runs with one fault and checks all that must hold afterwards.

    Returns the call that was hit, or None where the run had fewer calls; raises Violation.
    """
    workshop, scenario = baseline.workshop, baseline.scenario
    folder = baseline.copy(name)
    log = folder + ".log"
    disk = Disk(folder)
    try:
        workshop.run_first(scenario, folder, log)
        status, _, errors = workshop.run(workshop.filled(scenario.arguments, folder), folder, log, f"{n}:{action}")
        calls = fault_log.read(log, folder)
        hit = next((call for call in calls if call.injected), None)
        # Threads take turns: the n-th call may be another than it was without faults, and none that can be half done.
        killed = hit is not None and (action == "kill" or action == "torn" and hit.kind == "write")
        if killed:
            if status != -9:
                raise Violation(f"killed, it ended with status {status}: {errors}")
        elif status != 0:
            if hit is None or action == "short" and hit.happened:
                raise Violation(f"without a failing call it ended with status {status}: {errors}")
            expect_sentence(status, errors)
        if status == 0:
            baseline.expect_final(folder, "it told of success")
            # What it told of must also outlive a loss of power, whatever did not become durable.
            expect_durable(baseline, disk, calls, folder)
            return hit
        baseline.expect_consistent(folder)
        if not killed:
            baseline.expect_again(folder)
            return hit
        # A second try after a kill, and then a loss of power: what the first left unsynced counts too.
        second = folder + ".second.log"
        status, _, errors = workshop.run(workshop.second(scenario, folder), folder, second)
        calls += fault_log.read(second, folder)
        os.unlink(second)
        baseline.expect_again(folder)
        if status == 0:
            expect_durable(baseline, disk, calls, folder)
        return hit
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(log):
            os.unlink(log)


def expect_durable(baseline, disk, calls, folder):
    for call in calls:
        disk.apply(call)
    image = folder + ".lost"
    disk.write(image, "all lost")
    try:
        baseline.expect_final(image, "after a loss of power")
    finally:
        shutil.rmtree(image)
