"""Simulated loss of power: the corpus as a disk may hold it after the first n calls of a command."""

import copy
import os
import random
import shutil
import threading

import fault_log
from checks import Violation
from disk import LOSSES, Disk, is_shared_memory


class Recording:
    """A run without faults, and what the disk was told in it."""

    def __init__(self, baseline):
        self.baseline, workshop = baseline, baseline.workshop
        folder = baseline.copy("recorded")
        log = folder + ".log"
        self.start = Disk(folder)
        workshop.run_first(baseline.scenario, folder, log)
        self.first = len(fault_log.read(log, folder))  # calls of the commands before
        arguments = workshop.filled(baseline.scenario.arguments, folder)
        status, _, errors = workshop.run(arguments, folder, log)
        if status != 0:
            raise SystemExit(f"fault-injection: {baseline.scenario.name} fails when recorded: {errors}")
        self.calls = fault_log.read(log, folder)
        self.committed, self.turn = {}, threading.Lock()  # {n: the state after the first n calls}
        self.expect_whole(folder)
        shutil.rmtree(folder)
        os.unlink(log)

    def disk(self, count):
        disk = copy.deepcopy(self.start)
        for call in self.calls[:count]:
            disk.apply(call)
        return disk

    def image(self, count, name, loss=None, seed=0):
        folder = os.path.join(self.baseline.workshop.folder, "runs", name)
        self.disk(count).write(folder, loss, seed)
        return folder

    def expect_whole(self, folder):
        """The log made again gives the folder byte for byte: no call that changes it went past the library."""
        image = self.image(len(self.calls), "replayed")
        ours, theirs = contents(image), contents(folder)
        shutil.rmtree(image)
        different = sorted(path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path))
        if different:
            raise Violation(f"the log of calls does not make the same files: {different[:5]}")

    def committed_before(self, count):
        """The state that the catalogue had made durable by then; None where it had none."""
        synced = [place + 1 for place, call in enumerate(self.calls[:count])
                  if call.kind == "sync" and call.happened and call.path in ("catalog.sqlite", "catalog.sqlite-wal")]
        if not synced:
            return None
        last = synced[-1]
        with self.turn:
            if last not in self.committed:
                folder = self.image(last, os.path.basename(self.baseline.prepared) + "-committed")
                begun = os.path.exists(os.path.join(folder, "corpus.json"))
                self.committed[last] = self.baseline.workshop.state(folder) if begun else None
                shutil.rmtree(folder)
            return self.committed[last]

    def was_reported(self, count):
        """Whether the program had printed its result."""
        return any(call.kind == "output" and call.inode == 1 for call in self.calls[self.first:count])

    @property
    def counted(self):
        """The calls that a fault can hit: the n-th of these."""
        return [call for call in self.calls[self.first:] if call.kind != "output"]

    def choose(self, seed):
        """(count, loss) pairs in an order in which each count comes once before any comes twice."""
        source = random.Random(seed)
        counts = [place + 1 for place, call in enumerate(self.calls) if place >= self.first and call.kind != "close"]
        left = [(turn, source.random(), count, loss)
                for count in counts for turn, loss in enumerate(source.sample(list(LOSSES), len(LOSSES)))]
        # First the end, where all that was reported must be there.
        end = (len(self.calls), "all lost")
        return [end] + [(count, loss) for _, _, count, loss in sorted(left) if (count, loss) != end]

    def lose(self, count, loss, seed, name):
        """Loses power after `count` calls and checks all that must hold; raises Violation."""
        committed = self.committed_before(count)
        folder = self.image(count, name, loss, seed)
        try:
            if self.was_reported(count):
                self.baseline.expect_final(folder, "reported and lost")
            else:
                self.baseline.expect_consistent(folder, at_least=committed)
            self.baseline.expect_again(folder)
        finally:
            shutil.rmtree(folder)
        return True


def contents(folder):
    """{path: bytes} of all files but SQLite's shared memory."""
    found = {}
    for path, _, files in os.walk(folder):
        found[os.path.relpath(path, folder) + "/"] = b""
        for name in files:
            if not is_shared_memory(name):
                with open(os.path.join(path, name), "rb") as file:
                    found[os.path.relpath(os.path.join(path, name), folder)] = file.read()
    return found
