"""The store beside its peers on the same float32 logits; see tools/bench-store for the options.

Every measurement runs in a process of its own, with its input in memory before the clock starts. Repetitions are interleaved:
first of all subjects, then the second of all, … Medians are printed, and the middle of the ratios within a repetition.
"""
import argparse, json, os, resource, shutil, subprocess, sys, threading, time
import numpy as np
import calibration
import store_jobs
import store_peers as peers

BATCH = 256


def generate(path, rows, classes, seed=7):
    """Logits of a plausible shape: a mean for each class of image, noise, the true class lifted."""
    if os.path.exists(path) and os.path.getsize(path) == rows * classes * 4:
        return
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 1.5, (classes, classes)).astype(np.float32)
    labels = rng.integers(0, classes, rows)
    with open(path + ".tmp", "wb") as file:
        for first in range(0, rows, 10_000):
            part = labels[first:first + 10_000]
            x = means[part] + rng.standard_normal((len(part), classes), dtype=np.float32)
            x[np.arange(len(part)), part] += 9
            x.tofile(file)
    os.rename(path + ".tmp", path)


# A peer in a process of its own.

def cpu():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def write_peer(task, x):
    peer, folder = peers.PEERS[task["peer"]], task["folder"]
    peer.write(x[:peers.UNIT], folder)  # imports and first use are not timed
    shutil.rmtree(folder)
    os.makedirs(folder)
    os.sync()
    wall, used = time.perf_counter(), cpu()
    peer.write(x, folder)
    peers.sync(folder)
    return dict(wall=time.perf_counter() - wall, cpu=cpu() - used, bytes=peers.size(folder))


def read_peer(task, x):
    """Batches of rows drawn from all, each thread with a reader of its own, until the seconds are over."""
    if task["peer"] == "RAM":
        make = lambda: x.__getitem__
    elif task["peer"] == "RAM, take":
        def make():
            out = np.empty((BATCH, x.shape[1]), np.float32)
            return lambda rows: np.take(x, rows, axis=0, out=out, mode="clip")
    else:
        peers.warm(task["folder"])
        make = lambda: peers.PEERS[task["peer"]].open(task["folder"])
    found = {}
    for threads in (1, 2):
        readers = [make() for _ in range(threads)]
        counts = [0] * threads

        def loop(thread, end):
            rng = np.random.default_rng(thread)
            while time.perf_counter() < end:
                order = rng.permutation(len(x))
                for first in range(0, len(x) - BATCH + 1, BATCH):
                    readers[thread](order[first:first + BATCH])
                    counts[thread] += BATCH
                    if time.perf_counter() >= end:
                        break
        for reader in readers:
            rows = np.random.default_rng(5).permutation(len(x))[:BATCH]
            if not np.array_equal(np.asarray(reader(rows)), x[rows]):
                sys.exit(f"{task['peer']} gave other rows than were written")
        wall, used = time.perf_counter(), cpu()
        running = [threading.Thread(target=loop, args=(thread, wall + task["seconds"])) for thread in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        found[str(threads)] = dict(wall=time.perf_counter() - wall, cpu=cpu() - used, rows=sum(counts))
    return found


def child(task):
    x = np.fromfile(task["logits"], np.float32).reshape(-1, task["classes"])
    print(json.dumps({"write": write_peer, "read": read_peer}[task["job"]](task, x)))


# The driver.

class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = os.path.abspath(options.folder)
        os.makedirs(self.folder, exist_ok=True)
        self.logits = f"{self.folder}/logits-{options.rows}-{options.classes}.f32"
        generate(self.logits, options.rows, options.classes)

    def wanted(self, names):
        parts = [part for part in self.options.subjects.split(",") if part]
        return [name for name in names if not parts or any(part.lower() in name.lower() for part in parts)]

    def run(self, command):
        """The JSON that a process prints last; None where it failed, after its words on standard error."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            print(f"{command[:4]}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", file=sys.stderr)
            return None
        return json.loads(done.stdout.strip().splitlines()[-1])

    def peer(self, job, name, folder):
        task = dict(job=job, peer=name, folder=folder, logits=self.logits, classes=self.options.classes,
                    seconds=self.options.seconds)
        return self.run([sys.executable, "-W", "ignore", __file__, "--child", json.dumps(task)])

    def ours(self, verb, *words):
        return self.run([self.options.bench, verb, *map(str, words)])

    def place(self, name):
        return f"{self.folder}/" + "".join(c if c.isalnum() else "_" for c in name)

    def fresh(self, name):
        shutil.rmtree(self.place(name), ignore_errors=True)
        os.makedirs(self.place(name))
        os.sync()
        return self.place(name)

    def write_ours(self, what, codec, name, *words, logits=None, classes=None):
        return self.ours("store-write", "--logits", logits or self.logits, "--classes", classes or self.options.classes,
                         "--what", what, "--codec", codec, "--folder", self.fresh(name), *words)

    def interleaved(self, jobs):
        """Figures by name: every job once, then every job again, …"""
        found = {name: [] for name in jobs}
        for repetition in range(self.options.repetitions):
            for name, job in jobs.items():
                found[name].append(job())
                print(f"# {repetition} {name}: {found[name][-1]}", file=sys.stderr, flush=True)
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", default=".build/release/logit-bench")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--jobs", default=",".join(store_jobs.JOBS))
    parser.add_argument("--subjects", default="")
    parser.add_argument("--real", action="append", default=[])
    parser.add_argument("--folder", default=".bench-store")
    options = parser.parse_args()
    if options.child:
        return child(json.loads(options.child))
    unknown = set(options.jobs.split(",")) - set(store_jobs.JOBS)
    if unknown or options.rows < BATCH or options.classes < 2 or options.repetitions < 1:
        sys.exit(f"bench-store: jobs are {', '.join(store_jobs.JOBS)}; at least {BATCH} rows, 2 classes, 1 repetition")
    bench = Bench(options)
    print(f"{calibration.two_threads()}; {calibration.processor()}; {calibration.file_system(bench.folder)}\n")
    print(f"{options.rows:,} × {options.classes:,} float32, medians of {options.repetitions} interleaved repetitions\n")
    for job in options.jobs.split(","):
        store_jobs.JOBS[job](bench)


if __name__ == "__main__":
    main()
