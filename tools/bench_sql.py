"""SQL over logits beside its peers; see tools/bench-sql for the options.

Each subject is a process that stays open and answers a question when it is its turn, so the files are warm and ours are checked.
Repetitions are interleaved: first of all subjects, then the second of all, … Medians are printed, and the middle of the ratios
within a repetition. The answers are compared with NumPy's in float64.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, time
import numpy as np
import bench_store
import calibration
import sql_peers as peers

OURS = {"LogitCorpus raw, SQL": "raw", "LogitCorpus zstd, SQL": "zstd"}
BASES = ["NumPy in memory, float32 sums", "h5py zstd, NumPy"]
QUERIES = {
    "histogram": f"SELECT histogram(mean(z), {peers.BINS}, {peers.LOW}, {peers.HIGH}) FROM logits",
    "mean": "SELECT vec_mean(z) FROM logits",
}


def child(task):
    peer, _ = peers.PEERS[task["peer"]]
    peer.open(task["logits"], task["rows"], task["classes"], task["path"])
    for question in sys.stdin:
        wall, used = time.perf_counter(), bench_store.cpu()
        found = getattr(peer, question.strip())()
        print(json.dumps(dict(wall=time.perf_counter() - wall, cpu=bench_store.cpu() - used,
                              answer=[float(value) for value in found])), flush=True)


class Subject:
    def __init__(self, command, question):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.question = question

    def ask(self, name):
        self.process.stdin.write(self.question(name) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench-sql: {self.process.args[:3]} ended without an answer")
        found = json.loads(line)
        if "row" in found:
            value = json.loads(found.pop("row")[0])
            found["answer"] = [float(v) for v in (value["counts"] if isinstance(value, dict) else value)]
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = os.path.abspath(options.folder)
        os.makedirs(self.folder, exist_ok=True)
        self.name = f"{options.rows}-{options.classes}"
        self.logits = f"{self.folder}/logits-{self.name}.f32"
        bench_store.generate(self.logits, options.rows, options.classes)

    def wanted(self, name):
        parts = [part for part in self.options.subjects.split(",") if part]
        return not parts or name in BASES or any(part.lower() in name.lower() for part in parts)

    def made(self, path, make):
        """Files are made once: under another name first, so that a half is never taken for a whole."""
        if not os.path.exists(path):
            shutil.rmtree(path + ".tmp", ignore_errors=True)
            if os.path.isfile(path + ".tmp"):
                os.remove(path + ".tmp")
            make(path + ".tmp")
            os.rename(path + ".tmp", path)
        return path

    def corpus(self, codec):
        def make(path):
            os.makedirs(path)
            subprocess.run([f"{self.options.build}/logit-bench", "store-write", "--logits", self.logits, "--classes",
                            str(self.options.classes), "--what", "corpus", "--codec", codec, "--folder", path],
                           check=True, stdout=subprocess.DEVNULL)
        return self.made(f"{self.folder}/corpus-{codec}-{self.name}", make)

    def subjects(self):
        found = {}
        for name, codec in OURS.items():
            if self.wanted(name):
                library = os.path.abspath(f"{self.options.build}/liblogitsql.so")
                command = ["/usr/bin/python3", "tools/sql_ask.py", library, f"{self.corpus(codec)}/catalog.sqlite"]
                found[name] = Subject(command, lambda name: json.dumps(QUERIES[name]))
        for name, (peer, file) in peers.PEERS.items():
            if self.wanted(name):
                path = f"{self.folder}/{self.name}-{file}"
                if file:
                    self.made(path, lambda path, peer=peer: peer.prepare(
                        self.logits, self.options.rows, self.options.classes, path))
                task = dict(peer=name, path=path, logits=self.logits, rows=self.options.rows, classes=self.options.classes)
                found[name] = Subject(
                    [sys.executable, "-W", "ignore", __file__, "--child", json.dumps(task)], lambda name: name)
        return found

    def expected(self, name):
        x = np.memmap(self.logits, np.float32, "r", shape=(self.options.rows, self.options.classes))
        if name == "mean":
            return np.mean(x, axis=0, dtype=float), 1e-12
        return np.histogram(np.mean(x, axis=1, dtype=float), peers.BINS, (peers.LOW, peers.HIGH))[0], 0


def agrees(answer, expected, tolerance):
    difference = np.abs(np.array(answer) - expected)
    if tolerance == 0:
        return "equal" if not difference.any() else f"{int(difference.sum() / 2)} rows in another bin"
    worst = float((difference / np.maximum(np.abs(expected), 1e-3)).max())
    return f"{worst:.0e} apart"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".build/release")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--subjects", default="")
    parser.add_argument("--folder", default=".bench-sql")
    options = parser.parse_args()
    if options.child:
        return child(json.loads(options.child))
    if options.rows < 1000 or options.classes < 2 or options.repetitions < 1:
        sys.exit("bench-sql: at least 1000 rows, 2 classes, 1 repetition")
    bench = Bench(options)
    print(f"{calibration.two_threads()}; {calibration.processor()}; {calibration.file_system(bench.folder)}\n")
    print(f"{options.rows:,} × {options.classes:,} float32, warm, medians of {options.repetitions} interleaved repetitions")
    subjects = bench.subjects()
    for question in QUERIES:
        figures = {name: [] for name in subjects}
        for repetition in range(-1, options.repetitions):  # the first warms, and checks ours
            for name, subject in subjects.items():
                found = subject.ask(question)
                if repetition >= 0:
                    figures[name].append(found)
                print(f"# {repetition} {question} {name}: {found['wall']:.3f} s, {found['cpu']:.3f} CPU-s",
                      file=sys.stderr, flush=True)
        expected, tolerance = bench.expected(question)
        heads = ["", "rows/s", "rows/CPU-s", *(f"of {base}" for base in BASES), "rows/CPU-s of NumPy", "result"]
        print(f"\n### {QUERIES[question]}\n")
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        for name, found in figures.items():
            def ratio(base, key):
                return statistics.median(b[key] / f[key] for f, b in zip(found, figures[base]))
            rate = {key: options.rows / statistics.median(f[key] for f in found) for key in ("wall", "cpu")}
            print(f"| {name} | {rate['wall']:,.0f} | {rate['cpu']:,.0f} | "
                  + " | ".join(f"{ratio(base, 'wall'):.2f}" for base in BASES)
                  + f" | {ratio(BASES[0], 'cpu'):.2f} | {agrees(found[0]['answer'], expected, tolerance)} |")
    for subject in subjects.values():
        subject.close()


if __name__ == "__main__":
    main()
