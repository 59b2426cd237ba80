"""What is run under faults: each scenario is one command over a prepared corpus."""

import dataclasses
import json
import os
import shutil
import subprocess
import tarfile
from typing import Callable

import fault_log
from corpus_state import State

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.realpath(os.path.join(HERE, "../../fixtures"))
NETWORK = os.path.join(FIXTURES, "networks/residual.pt")
ATTACKS = "clean,pgd:steps=2"


@dataclasses.dataclass
class Scenario:
    name: str
    arguments: list  # CORPUS stands for the folder, OLDEST for its first snapshot, IMAGES, CLASSES for the workshop's
    prepare: Callable  # (workshop, folder): makes the corpus that the command starts from
    again: Callable = None  # (folder) -> arguments of the second try; the same where None
    first: list = dataclasses.field(default_factory=list)  # commands before it, without faults, in the same log
    refusal: str = "$^"  # what the second try may be told instead, where the first had its effect
    problems: str = "$^"  # what verify may say after a fault, beside stray shards
    last_problems: str = "$^"  # … and at the end
    replaces_catalogue: bool = False
    weight: float = 1


class Workshop:
    """Runs the program and keeps the prepared corpora."""

    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        self.library = os.path.join(folder, "libfaults.so")
        source = os.path.join(HERE, "faults.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", self.library, source], check=True)
        self.images, self.classes = os.path.join(folder, "images"), os.path.join(folder, "classes.txt")
        self.make_images()

    def make_images(self):
        """24 of the fixtures' images, in all of their classes' names."""
        with tarfile.open(os.path.join(FIXTURES, "test.tar")) as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
            names = sorted({member.name.split("/")[0] for member in members})
            for member in members[::len(members) // 24][:24]:
                path = os.path.join(self.images, member.name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(tar.extractfile(member).read())
        with open(self.classes, "w") as file:
            file.writelines(name + "\n" for name in names)

    def filled(self, arguments, folder):
        values = {"CORPUS": folder, "IMAGES": self.images, "CLASSES": self.classes}
        if "OLDEST" in arguments:
            values["OLDEST"] = oldest_snapshot(folder)
        return [values.get(argument, argument) for argument in arguments]

    def again(self, scenario, folder):
        return self.run(self.second(scenario, folder))

    def second(self, scenario, folder):
        return self.filled(scenario.again(folder) if scenario.again else scenario.arguments, folder)

    def run_first(self, scenario, folder, log=None):
        for arguments in scenario.first:
            status, _, errors = self.run(self.filled(arguments, folder), folder, log)
            if status != 0:
                raise SystemExit(f"fault-injection: logit {' '.join(arguments)} failed: {errors}")

    def run(self, arguments, folder=None, log=None, fault=None):
        """(exit status, standard output, standard error); a signal is a negative status."""
        environment = dict(os.environ)
        if log:
            environment |= {"LD_PRELOAD": self.library, "LOGIT_FAULTS_FOLDER": folder, "LOGIT_FAULTS_LOG": log}
        if fault:
            environment["LOGIT_FAULTS"] = fault
        ran = subprocess.run([self.program, *arguments], env=environment, capture_output=True, text=True, timeout=300)
        return ran.returncode, ran.stdout, ran.stderr

    def must(self, *arguments):
        status, _, errors = self.run(arguments)
        if status != 0:
            raise SystemExit(f"fault-injection: logit {' '.join(arguments)} failed: {errors}")

    def must_die(self, folder, arguments, when):
        """Runs a command that is killed before the first call for which `when` holds of it and of those before."""
        log = folder + ".log"
        copy = folder + ".copy"
        shutil.copytree(folder, copy)
        self.run(self.filled(arguments, copy), copy, log)
        calls = [call for call in fault_log.read(log, copy) if call.is_counted]
        chosen = next(place for place in range(len(calls)) if when(calls[:place + 1])) + 1
        shutil.rmtree(copy)
        os.unlink(log)
        status, _, errors = self.run(self.filled(arguments, folder), folder, log, f"{chosen}:kill")
        os.unlink(log)
        if status != -9:
            raise SystemExit(f"fault-injection: {' '.join(arguments)} was not killed at call {chosen}: {errors}")

    def problems(self, folder):
        """What `logit verify` names; a sentence where it could not run at all."""
        status, output, errors = self.run(["verify", folder, "--format", "json", "--quiet"])
        if status not in (0, 1) or "logit: " not in errors and status == 1:
            return [f"verify ended with status {status}: {errors}"]
        return json.loads(output)["problems"] if output else [errors.strip()]

    def state(self, folder):
        """The state, or None where there is no catalogue."""
        return State(folder) if os.path.exists(os.path.join(folder, "catalog.sqlite")) else None

    # MARK: Prepared corpora

    def begin(self, folder, stage):
        """A copy of a corpus that several scenarios begin with, made once."""
        made = os.path.join(self.folder, "stages", stage.__name__)
        if not os.path.exists(made):
            os.makedirs(os.path.dirname(made), exist_ok=True)
            stage(self, made)
        if os.path.exists(made):
            shutil.copytree(made, folder)

    def nothing(self, folder):
        """No corpus at all."""

    def empty(self, folder):
        self.must("init", folder)

    def with_images(self, folder):
        self.begin(folder, Workshop.empty)
        self.must(*self.filled(ADD, folder))

    def half(self, folder):
        """Some images ingested, clean, with a snapshot and a tag."""
        self.begin(folder, Workshop.with_images)
        self.must("network", "add", folder, "residual", "--module", NETWORK)
        self.must("ingest", folder, "--limit", "5", "--block", "5", "--quiet")
        self.must("snapshot", "tag", folder, "first")

    def full(self, folder):
        self.begin(folder, Workshop.half)
        self.must("ingest", folder, "--attack", ATTACKS, "--block", "8", "--quiet")
        self.must("select", folder, "right", "--correct-by", "residual", "--split", "train")

    def two_units(self, folder):
        """An ingest of more images than a shard has rows, which died before its first shard was in place."""
        many = os.path.join(self.folder, "many")
        for path, _, files in os.walk(self.images):
            for name in files:
                target = os.path.join(many, os.path.basename(path))
                os.makedirs(target, exist_ok=True)
                for number in range(4104 // 24):
                    os.link(os.path.join(path, name), os.path.join(target, f"{number}-{name}"))
        self.begin(folder, Workshop.empty)
        self.must(*[many if argument == self.images else argument for argument in self.filled(ADD, folder)])
        self.must("network", "add", folder, "residual", "--module", NETWORK)
        self.must_die(folder, UNITS, lambda calls: in_place(calls[-1]))

    def with_stray(self, folder):
        """An ingest that died between the rename of a shard and its transaction."""
        self.begin(folder, Workshop.half)
        self.must_die(folder, INGEST, lambda calls: len(calls) > 2 and in_place(calls[-3]))

    def without_snapshot(self, folder):
        """An ingest that died before its snapshot."""
        self.begin(folder, Workshop.half)
        self.must_die(folder, INGEST, lambda calls: calls[-1].path.startswith("snapshots/"))

    def without_catalogue(self, folder):
        self.begin(folder, Workshop.full)
        os.unlink(os.path.join(folder, "catalog.sqlite"))

    def compacted(self, folder):
        self.begin(folder, Workshop.full)
        self.must(*self.filled(COMPACT, folder))

    def compacted_without_catalogue(self, folder):
        self.begin(folder, Workshop.compacted)
        os.unlink(os.path.join(folder, "catalog.sqlite"))

    def with_damage(self, folder):
        """A shard with a flipped byte, and a catalogue whose log was not folded in when its writer died."""
        self.begin(folder, Workshop.full)
        self.must_die(folder, ["snapshot", "tag", "CORPUS", "second"],
                      lambda calls: calls[-1].path == "catalog.sqlite" and calls[-1].kind == "write")
        shard = sorted(self.state(folder).paths.values())[-1]
        with open(os.path.join(folder, shard), "r+b") as file:
            file.seek(-100, os.SEEK_END)
            byte = file.read(1)
            file.seek(-100, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))

    def with_lost_rows(self, folder):
        """A corpus whose damaged shard `repair` has set aside, with the list of the rows to make again."""
        self.begin(folder, Workshop.with_damage)
        self.must(*self.filled(REPAIR, folder))


def oldest_snapshot(folder):
    """The id of the snapshot without a parent; of none where it is gone."""
    for name in os.listdir(os.path.join(folder, "snapshots")):
        with open(os.path.join(folder, "snapshots", name)) as file:
            if name.endswith(".json") and not json.load(file).get("parent"):
                return name.removesuffix(".json")
    return "0" * 64


def in_place(call):
    return call.kind == "rename" and call.other.startswith("shards/")


ADD = ["dataset", "add", "CORPUS", "shapes", "--images", "IMAGES", "--split", "train", "--classes", "CLASSES",
       "--quiet"]
INGEST = ["ingest", "CORPUS", "--attack", ATTACKS, "--block", "8", "--workers", "1", "--quiet"]
UNITS = ["ingest", "CORPUS", "--block", "512", "--workers", "1", "--quiet"]
TRAIN = ["train", "CORPUS", "g", "--split", "train", "--attack", "pgd:steps=2", "--hidden", "16", "--epochs", "2",
         "--batch", "8", "--threads", "1", "--quiet"]
COMPACT = ["compact", "CORPUS", "--codec", "zstd", "--workers", "1", "--quiet"]
DELETE = ["snapshot", "delete", "CORPUS", "OLDEST", "--with-tags"]
REPAIR = ["repair", "CORPUS", "--quiet"]


# Until the next command that writes: what stands for the lost file in the snapshots that hold its unit.
MADE_AGAIN = ("snapshot .* no longer has|the catalogue lists .* shards of snapshot"
              "|has changed since it was written .* its rows are whole")


def resumed(folder):
    is_begun = os.path.exists(os.path.join(folder, "defenders/g/checkpoint.safetensors"))
    return TRAIN + ["--resume"] if is_begun else TRAIN


def all_scenarios():
    return [
        Scenario("init", ["init", "CORPUS"], Workshop.nothing, refusal="is a corpus already"),
        Scenario("dataset add", ADD, Workshop.empty, refusal="already has a split"),
        Scenario("network add", ["network", "add", "CORPUS", "residual", "--module", NETWORK], Workshop.with_images,
                 refusal="is in the corpus already, with the same", weight=0.3),
        Scenario("ingest", INGEST, Workshop.half, weight=2),
        Scenario("adopt", INGEST, Workshop.with_stray),
        Scenario("two units", UNITS, Workshop.two_units, weight=0.3),
        Scenario("snapshot", ["snapshot", "create", "CORPUS"], Workshop.without_snapshot),
        Scenario("tag", ["snapshot", "tag", "CORPUS", "second"], Workshop.full, refusal="tag second exists already"),
        Scenario("move tag", ["snapshot", "tag", "CORPUS", "first", "--force"], Workshop.full),
        Scenario("select", ["select", "CORPUS", "chosen", "--correct-by", "residual", "--split", "train"],
                 Workshop.full, refusal="selection chosen exists already"),
        Scenario("repair", REPAIR, Workshop.without_catalogue, replaces_catalogue=True),
        Scenario("repair of compacted", REPAIR, Workshop.compacted_without_catalogue, replaces_catalogue=True),
        Scenario("repair of damage", REPAIR, Workshop.with_damage, problems="shard .* (damaged|differ|missing)",
                 last_problems="snapshot .* no longer has", replaces_catalogue=True),
        Scenario("ingest --repair", ["ingest", "CORPUS", "--repair", "--workers", "1", "--quiet"],
                 Workshop.with_lost_rows, problems=MADE_AGAIN, weight=0.5),
        Scenario("scrub", ["scrub", "CORPUS", "--quiet"], Workshop.full, weight=0.5),
        Scenario("compact", COMPACT, Workshop.full),
        Scenario("snapshot delete", DELETE, Workshop.compacted, refusal="there is no snapshot"),
        Scenario("gc", ["gc", "CORPUS", "--quiet"], Workshop.compacted, first=[DELETE]),
        # Weights and descriptor are two files; --resume makes both from the checkpoint.
        Scenario("train", TRAIN, Workshop.full, again=resumed, problems="the weights of defender g, .* --resume",
                 weight=0.5),
    ]
