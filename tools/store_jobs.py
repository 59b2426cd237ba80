"""What tools/bench-store measures: one function a job, each prints its table."""
import glob, os, statistics, subprocess, sys
import numpy as np
import store_peers as peers

OURS = {"raw": "LogitCorpus raw", "zstd": "LogitCorpus zstd"}

WALL = lambda f: f["wall"]


def middle(figures, key):
    values = [key(f) for f in figures if f]
    return statistics.median(values) if values else float("nan")


def ratio(figures, base, key):
    """The median of the ratios within a repetition."""
    values = [key(f) / key(b) for f, b in zip(figures, base) if f and b]
    return statistics.median(values) if values else float("nan")


def table(head, rows):
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row) + " |")
    print(flush=True)


def count(value):
    return "failed" if value != value else f"{value:,.0f}"


def write(bench):
    """Rows a second into files that are synced, from an array in memory."""
    rows = bench.options.rows
    plain = "plain write() and fsync"
    jobs = {plain: lambda: bench.write_ours("plain", "raw", plain)}
    for codec, name in OURS.items():
        for what, words in (("corpus", f"{name}, corpus"), ("shards", f"{name}, shard files alone")):
            jobs[words] = lambda what=what, codec=codec, words=words: bench.write_ours(what, codec, words)
    for name in peers.PEERS:
        jobs[name] = lambda name=name: bench.peer("write", name, bench.fresh(name))
    jobs = {name: jobs[name] for name in [plain, *bench.wanted([n for n in jobs if n != plain])]}
    found = bench.interleaved(jobs)
    lines = [[name, count(middle(f, lambda f: rows / f["wall"])), count(middle(f, lambda f: rows / f["cpu"])),
              f"{ratio(found[plain], f, WALL):.2f}", count(middle(f, lambda f: f["bytes"] / rows))]
             for name, f in found.items()]
    print("### Writing, synced\n")
    table(["", "rows/s", "rows/CPU-s", "of plain", "bytes a row"], lines)


def read(bench):
    """Batches of 256 rows drawn at random from all, page cache warm."""
    jobs = {"NumPy gather from RAM, a[rows]": lambda: bench.peer("read", "RAM", ""),
            "NumPy take into one buffer": lambda: bench.peer("read", "RAM, take", "")}
    base = next(iter(jobs))
    stored = {f"{name}, corpus": codec for codec, name in OURS.items()}
    for name in bench.wanted([*stored, *peers.PEERS]):
        if not os.path.isdir(bench.place(name)) or not peers.files(bench.place(name)):
            made = (bench.write_ours("corpus", stored[name], name) if name in stored
                    else bench.peer("write", name, bench.fresh(name)))
            if made is None:
                continue
        if name in stored:
            jobs[name] = lambda name=name: bench.ours(
                "store-read", "--folder", bench.place(name), "--logits", bench.logits, "--seconds", bench.options.seconds)
        else:
            jobs[name] = lambda name=name: bench.peer("read", name, bench.place(name))
    found = bench.interleaved(jobs)
    lines = []
    for name, figures in found.items():
        for phase, words in (("first", f"{name}: first touch, checked"), ("", name)):
            if not any(f and f"{phase}1" in f for f in figures):
                continue
            line = [words]
            for threads in "12":
                key = lambda f, k=phase + threads: f[k]["rows"] / f[k]["wall"]
                used = lambda f, k=phase + threads: f[k]["rows"] / f[k]["cpu"]
                of = [key(f) / b[threads]["rows"] * b[threads]["wall"] for f, b in zip(figures, found[base]) if f and b]
                line += [count(middle(figures, key)), count(middle(figures, used)), f"{np.median(of):.3f}"]
            lines.append(line)
    print("### Random reads of 256 rows, warm\n")
    table(["", "1 thread: rows/s", "rows/CPU-s", "of RAM gather", "2 threads: rows/s", "rows/CPU-s", "of RAM gather"], lines)


def real_logits(path):
    """Arrays by name: of a .npy file, or of each network and variant of a corpus."""
    if path.endswith(".npy"):
        return {os.path.basename(path)[:-4]: np.load(path).astype(np.float32)}
    import h5py, hdf5plugin  # noqa: F401  (registers the filter)
    found = {}
    for name in sorted(glob.glob(f"{path}/shards/**/*.h5", recursive=True)):
        with h5py.File(name, "r") as file:
            key = f"{file.attrs['network'].decode()}, {file.attrs['attack'].decode()}"
            found.setdefault(key, []).append(file["logits"][:].astype(np.float32))
    return {key: np.concatenate(parts) for key, parts in found.items()}


def logit_bytes(folder):
    """Of the shards below a folder: bytes without the small columns (logits, their index, the header), and whole."""
    import h5py
    whole = other = 0
    for name in glob.glob(f"{folder}/**/*.h5", recursive=True):
        whole += os.path.getsize(name)
        with h5py.File(name, "r") as file:
            other += sum(file[key].id.get_storage_size() for key in file if key != "logits")
    return whole - other, whole


def bytes_on_disk(bench):
    """Exact float32 at 1, 4, 16 and 64 rows a chunk, beside Blosc2."""
    sets = {"generated": np.fromfile(bench.logits, np.float32, 4096 * bench.options.classes).reshape(-1, bench.options.classes)}
    for path in bench.options.real:
        sets.update(real_logits(path))
    lines = []
    for name, x in sets.items():
        source = f"{bench.folder}/real.f32"
        np.ascontiguousarray(x).tofile(source)
        for chunk in (1, 4, 16, 64):
            folder = bench.place("bytes")
            if bench.write_ours("shards", "zstd", "bytes", "--chunk-rows", chunk, logits=source, classes=x.shape[1]) is None:
                sys.exit("bench-store: logit-bench store-write failed")
            ours, whole = logit_bytes(folder)
            b2nd, h5, stored = peers.blosc2_bytes(x, chunk, bench.fresh("bytes"))
            lines.append([name, len(x), chunk, *(f"{100 * b / x.nbytes:.2f} %" for b in (ours, whole, b2nd, h5, stored)),
                          f"{ours / stored:.4f}"])
    print("### Bytes of exact float32, of the raw logits' (zstd)\n")
    table(["logits", "rows", "rows a chunk", "ours: logits, index, header", "ours: whole shard", "Blosc2 array file",
           "Blosc2 in HDF5, file", "its chunks alone", "ours / its chunks"], lines)


def verify(bench):
    """A full verify beside a plain XXH3 pass over the same files."""
    print("### Verifying\n")
    for codec, name in OURS.items():
        folder = bench.place(f"{name}, corpus")
        if not os.path.isdir(folder):
            bench.write_ours("corpus", codec, f"{name}, corpus")
        print(f"`logit-bench verify`, {codec}:\n", flush=True)
        print_output(bench, "verify", folder)


def catalogue(bench):
    print("### Catalogue\n", flush=True)
    print_output(bench, "catalog", bench.fresh("catalogue") + "/corpus")


def print_output(bench, *words):
    done = subprocess.run([bench.options.bench, *words], capture_output=True, text=True)
    print("```\n" + (done.stdout + done.stderr).strip() + "\n```\n", flush=True)


JOBS = {"write": write, "read": read, "bytes": bytes_on_disk, "verify": verify, "catalogue": catalogue}
