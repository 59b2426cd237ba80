"""What must hold of a corpus after a fault: nothing committed is lost or wrong, nothing half-done is visible, and the
same command run again ends as if there had been no fault."""

import hashlib
import os
import re
import shutil

import corpus_state

# What verify says of a file that was written, or removed, when the command died before its transaction. Each is whole, as
# the states here show; the next command that writes puts the catalogue right.
STRAY = ("is not in the catalogue; the next|the catalogue's .* (is missing|has no file,) or differs"
         "|the catalogue's images of .* from ordinal 0 on")


class Baseline:
    """A scenario's corpus before the command and after it without faults."""

    def __init__(self, workshop, scenario):
        self.workshop, self.scenario = workshop, scenario
        name = re.sub(r"\W+", "-", scenario.name)
        self.prepared = os.path.join(workshop.folder, "prepared", name)
        os.makedirs(os.path.dirname(self.prepared), exist_ok=True)
        workshop.begin(self.prepared, scenario.prepare)
        done = self.copy("done")
        workshop.run_first(scenario, done)
        self.before = workshop.state(done)
        status, _, errors = workshop.again(scenario, done)
        if status != 0:
            raise SystemExit(f"fault-injection: {scenario.name} fails without faults: {errors}")
        self.final = workshop.state(done)
        self.logits = corpus_state.logits(done, self.final)
        self.expect_sound(done, scenario.last_problems)
        shutil.rmtree(done)

    def copy(self, name):
        """A copy of the prepared corpus; a path that is free where the scenario starts from nothing."""
        folder = os.path.join(self.workshop.folder, "runs", name)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        if os.path.exists(self.prepared):
            shutil.copytree(self.prepared, folder)
        return folder

    def expect_sound(self, folder, allowed):
        problems = [text for text in self.workshop.problems(folder) if not re.search(allowed, text)]
        if problems:
            raise Violation(f"verify: {problems[0]}")

    def expect_consistent(self, folder, at_least=None):
        """All that was committed (and what `at_least` has) is there as it was, and of what is new only whole units."""
        state, missing = self.state_or_missing(folder)
        if missing:
            return
        if self.before:
            kept = self.before.units.items() & self.final.units.items()
            lost = kept - state.units.items()
            if lost:
                raise Violation(f"lost or changed: {corpus_state.names(lost)}")
        lost = (at_least.units.items() & self.final.units.items()) - state.units.items() if at_least else None
        if lost:
            raise Violation(f"committed and lost: {corpus_state.names(lost)}")
        known = self.final.units.items() | (self.before.units.items() if self.before else set())
        if state.units.items() - known:
            raise Violation(f"wrong rows are visible: {corpus_state.names(state.units.items() - known)}")
        for kind, after in self.final.records.items():
            before = self.before.records[kind] if self.before else set()
            found = {one for one in state.records[kind] if kind != "defender" or not unfinished(folder, one, after)}
            if not before & after <= found <= before | after:
                raise Violation(f"{kind}s lost or wrong: {sorted(found ^ after)[:3]}")
        self.expect_sound(folder, f"{STRAY}|{self.scenario.problems}|{self.scenario.last_problems}")

    def state_or_missing(self, folder):
        """The state; or that there is none, and may be none."""
        begun = os.path.exists(os.path.join(folder, "corpus.json"))
        if not begun and self.before is None:
            return None, True
        state = self.workshop.state(folder)
        if state is None and not (self.before is None or self.scenario.replaces_catalogue):
            raise Violation("the catalogue is gone")
        return state, state is None

    def expect_final(self, folder, what):
        state = self.workshop.state(folder)
        differences = ["there is no catalogue"] if state is None else state.differences(self.final)
        if differences:
            raise Violation(f"{what}: {differences[0]}")
        self.expect_sound(folder, self.scenario.last_problems)
        if corpus_state.logits(folder, state) != self.logits:
            raise Violation(f"{what}: h5py reads other logits")

    def expect_again(self, folder):
        """The same command again ends as without faults."""
        status, _, errors = self.workshop.again(self.scenario, folder)
        refused = status in (1, 64) and re.search(self.scenario.refusal, errors)
        if status != 0 and not refused:
            raise Violation(f"run again it ends with status {status}: {errors.strip()}")
        self.expect_final(folder, "run again it ends otherwise")


def unfinished(folder, defender, final):
    """Whether a defender is one that has epochs left, told of as its files have it: a failure in a later epoch leaves it."""
    name, epochs, digest = defender
    if not any(name == other and epochs < done for other, done, _ in final):
        return False
    with open(os.path.join(folder, "defenders", name, "weights.safetensors"), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() == digest


class Violation(Exception):
    """Something that must hold does not."""


def expect_sentence(status, errors):
    """A failure is one sentence and a status, not a signal or a trace."""
    sentences = [line for line in errors.splitlines() if line.startswith("logit: ")]
    if status not in (1, 64):
        raise Violation(f"ended with status {status}: {errors.strip()[-300:]}")
    if len(sentences) != 1 or re.search(r"Fatal|Traceback|HDF5-DIAG|terminate called", errors):
        raise Violation(f"its failure is not one sentence: {errors.strip()[-300:]}")
