"""Images a second of each attack: ours against cleverhans, torchattacks, foolbox and ART on the same module and pixels.

    bench_attacks.py --data DATA --bench .build/release/logit-bench
        [--networks resnet20,mobilenet_v2] [--attacks pgd,…] [--libraries foolbox,…] [--images n] [--repetitions 3] [--limit 300]

The job timed is the same for all: from clean images in memory to attacked images and their logits, which a library that
returns no logits computes in one more forward pass (its time without it is printed too). Libraries run as their users run
them (torch.jit.load, eval mode, parameters left as they are) on all cores, each in a process of its own that stays, with a
warm-up before; twice: as installed, and with glibc told to keep its memory, which our library tells it itself. Slots are
interleaved: ours, library, library with that allocator, ours, … Batch sizes: the best of two for each library and attack.
"""
import argparse, json, os, resource, select, statistics, subprocess, sys, tempfile, time
import numpy as np
import calibration

ALLOCATOR = "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=2147483647"
ATTACKS = ["fgsm", "bim", "pgd", "mim", "deepfool", "cw", "cw:abort=none"]
LIBRARIES = ["cleverhans", "torchattacks", "foolbox", "art"]
BATCHES = {32: (64, 128), 224: (8, 32)}
IMAGES = {32: {"deepfool": 128, "cw": 128, "cw:abort=none": 128, "": 256}, 224: {"deepfool": 16, "cw": 16, "cw:abort=none": 16, "": 32}}
# These need minutes for a batch: measured on so many images and scaled.
SLOW = {("art", "deepfool"): 4, ("torchattacks", "deepfool"): 2, ("art", "cw"): 4, ("art", "cw:abort=none"): 4}
AS_INSTALLED = {"fgsm": {32: 1.5, 224: 4}, "bim": {32: 1.5, 224: 4}, "pgd": {32: 1.5, 224: 4}, "mim": {32: 1.5, 224: 4}}
SAME_ALLOCATOR = 1.25  # for the same four
# The others: (attack, library) and the ratio wanted, as installed.
WANTED = {("cw:abort=none", "foolbox"): 3, ("cw", "foolbox"): 1.2, ("deepfool", "foolbox"): 2, ("deepfool", "art"): 100}


# One library in a process of its own: a job a line on standard input, its figures a line on standard output.

def worker(data, name, library):
    import torch
    import peer_attacks as peers
    import real_images
    real = real_images.NETWORKS[name]
    network = peers.load(f"{data}/networks/{real.module}", (3, real.side, real.side), real.classes)
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"config": torch.__config__.show(), "threads": torch.get_num_threads(),
                      "capability": torch.backends.cpu.get_cpu_capability()}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(torch, peers, network, library, json.loads(line))), file=out, flush=True)


def measure(torch, peers, network, library, task):
    shape = (task["count"], *network.shape)
    x = torch.from_numpy(np.fromfile(task["pixels"], np.float32, int(np.prod(shape))).reshape(shape))
    y = torch.from_numpy(np.fromfile(task["labels"], np.int32, task["count"]).astype(np.int64))
    name, p, batch = task["attack"].split(":")[0], task["parameters"], min(task["batch"], task["count"])
    short = {**p, "steps": min(3, p.get("steps", 3)), "search-steps": 1}
    abort = p.get("abort") != "none"
    if not task["warm"]:
        warmed = peers.job(library, name, short, network, batch, abort)(x[:batch], y[:batch])
        logits_of(torch, network, warmed, batch)
    job = peers.job(library, name, p, network, batch, abort)
    begin = usage()
    attacked = job(x, y)
    between = usage()
    logits = logits_of(torch, network, attacked, batch)
    end = usage()
    return dict(attack=between[0] - begin[0], total=end[0] - begin[0], cpu=end[1] - begin[1], faults=end[2] - begin[2],
                **outcome(x.numpy(), attacked.numpy(), logits.numpy(), y.numpy(), np.array(task["clean"][:task["count"]])))


def logits_of(torch, network, images, batch):
    with torch.no_grad():
        return torch.cat([network.module(b) for b in images.split(batch)])


def usage():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), used.ru_utime + used.ru_stime, used.ru_minflt


def outcome(x, attacked, logits, labels, clean):
    """Of images that the network had right: the share fooled, and the median L2 of those."""
    right = clean == labels
    fooled = right & (logits.argmax(1) != labels)
    norms = np.sqrt(((attacked.astype(np.float64) - x) ** 2).reshape(len(x), -1).sum(1))
    return dict(success=float(fooled.sum() / max(1, right.sum())), l2=float(np.median(norms[fooled])) if fooled.any() else None)


class Library:
    """A worker process, started again after a job that ran past the limit."""

    def __init__(self, options, network, library, allocator):
        self.command = [sys.executable, "-W", "ignore", __file__, "--worker", library, "--data", options.data, "--networks", network]
        self.environment = {**os.environ, **({"GLIBC_TUNABLES": ALLOCATOR} if allocator else {})}
        self.limit, self.process = options.limit, None

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.warmed = set()
        self.about = self.answer(300)
        if self.about is None:
            sys.exit(f"bench-attacks: {' '.join(self.command)} does not start; run tools/crosscheck, which installs the libraries")

    def answer(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.stop()
        return json.loads(line) if line else None

    def measure(self, task):
        if self.process is None:
            self.start()
        key = (task["attack"], task["batch"])
        self.process.stdin.write((json.dumps({**task, "warm": key in self.warmed}) + "\n").encode())
        self.process.stdin.flush()
        self.warmed.add(key)
        return self.answer(self.limit)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Ours:
    def __init__(self, options, name, real, folder, pixels, labels):
        self.folder, self.count, self.real = folder, len(labels), real
        self.pixels, self.labels = pixels, labels
        self.command = [
            options.bench, "attack", "--module", f"{options.data}/networks/{real.module}", "--shape",
            f"3x{real.side}x{real.side}", "--pixels", f"{folder}/pixels.in", "--labels", f"{folder}/labels.in", "--out",
            folder, *options.ours.split()]
        pixels.tofile(f"{folder}/pixels.in")
        labels.tofile(f"{folder}/labels.in")

    def measure(self, attack, count):
        about = json.loads(subprocess.run(
            self.command + ["--attack", attack, "--limit", str(count)], check=True, stdout=subprocess.PIPE).stdout)
        read = lambda name, kind: np.fromfile(f"{self.folder}/{name}", kind)
        self.clean = read("logits", np.float32).reshape(count, -1).argmax(1)
        attacked = read("0.images", np.float32).reshape(count, *self.pixels.shape[1:])
        labels = read("0.labels", np.int32)
        part, logits = about["parts"][0], read("0.logits", np.float32).reshape(count, -1)
        return dict(total=part["wall_seconds"], cpu=part["cpu_seconds"], faults=part["page_faults"], about=about,
                    parameters=json.loads(part["parameters"]), attacked_labels=labels,
                    **outcome(self.pixels[:count], attacked, logits, labels, self.clean))


def cell(options, ours, attack, library, workers, folder):
    """One attack by one library: interleaved slots of ours, the library as installed, the library with our allocator."""
    import peer_attacks as peers
    side = ours.real.side
    count = min(options.images or IMAGES[side].get(attack, IMAGES[side][""]), ours.count)
    few = min(SLOW.get((library, attack), count), count)
    batches = [few] if few < count else sorted({min(b, count) for b in BATCHES[side]})
    times = {"ours": [], "installed": {b: [] for b in batches}, "allocator": {b: [] for b in batches}}
    for repetition in range(options.repetitions if few == count else 1):
        own = ours.measure(attack, count)
        times["ours"].append(own)
        own["attacked_labels"].tofile(f"{folder}/attacked.in")
        for setting, worker in zip(("installed", "allocator"), workers):
            tried = times[setting]
            if repetition:  # the best batch size of the first round
                tried = dict(sorted(tried.items(), key=lambda pair: pair[1][0]["total"] if pair[1] else 1e9)[:1])
            for batch in tried:
                task = dict(attack=attack, parameters=own["parameters"], batch=batch, count=few, clean=own_list(ours.clean),
                            pixels=f"{folder}/pixels.in", labels=f"{folder}/attacked.in")
                figures = worker.measure(task)
                if figures is not None:
                    times[setting][batch].append(figures)
    found = {}
    for setting in ("installed", "allocator"):
        done = {b: f for b, f in times[setting].items() if f}
        if done:
            batch = min(done, key=lambda b: done[b][0]["total"])
            found[setting] = summary(done[batch], few, batch)
    return dict(attack=attack, library=library, count=count, few=few, correct=library in peers.ANCHORS[attack.split(":")[0]],
                ours=summary(times["ours"], count, times["ours"][0]["about"]["block_rows"]), **found)


def own_list(values):
    return [int(v) for v in values]


def summary(figures, count, batch):
    middle = lambda key: statistics.median(f[key] for f in figures) / count
    return dict(wall=middle("total"), cpu=middle("cpu"), faults=middle("faults"), batch=batch, success=figures[-1]["success"],
                l2=figures[-1]["l2"], attack=middle("attack") if "attack" in figures[0] else middle("total"))


# What is printed.

HEAD = ("| attack | by | images | batch | images/s | without logits | CPU ms an image | page faults an image | success | median L2 "
        "| ours is faster |")


def print_cell(c):
    def line(by, f, images, ratio):
        l2 = "-" if f["l2"] is None else f"{f['l2']:.4f}"
        print(f"| {c['attack']} | {by} | {images} | {f['batch']} | {1 / f['wall']:.2f} | {1 / f['attack']:.2f} | "
              f"{1000 * f['cpu']:.1f} | {f['faults']:.0f} | {100 * f['success']:.1f} % | {l2} | {ratio} |", flush=True)

    line(f"ours, beside {c['library']}", c["ours"], c["count"], "")
    for setting, words in (("installed", "as installed"), ("allocator", "same allocator")):
        note = "" if c["correct"] else " (not the same attack)"
        note += ", scaled" if c["few"] < c["count"] else ""
        if setting in c:
            line(f"{c['library']}, {words}{note}", c[setting], c["few"], f"{c[setting]['wall'] / c['ours']['wall']:.2f}")
        else:
            print(f"| {c['attack']} | {c['library']}, {words}{note} | {c['few']} | | over the time limit | | | | | | |", flush=True)


def print_verdicts(network, side, cells):
    print(f"\n| {network} | best correct library, as installed | ours / it | target | | the same allocator | ours / it | target | |\n"
          + "|---" * 9 + "|")
    for attack in dict.fromkeys(c["attack"] for c in cells):
        mine = [c for c in cells if c["attack"] == attack and c["correct"]]
        parts = []
        for setting in ("installed", "allocator"):
            done = [c for c in mine if setting in c]
            if not done:
                parts += ["none", "", "", ""]
                continue
            best = min(done, key=lambda c: c[setting]["wall"])
            ratio = best[setting]["wall"] / best["ours"]["wall"]
            wanted = AS_INSTALLED.get(attack, {}).get(side) if setting == "installed" else SAME_ALLOCATOR * (attack in AS_INSTALLED)
            parts += [best["library"], f"{ratio:.2f}", f"{wanted:g}" if wanted else "",
                      ("met" if ratio >= wanted else "MISSED") if wanted else ""]
        print(f"| {attack} | " + " | ".join(parts) + " |")
    for (attack, library), wanted in WANTED.items():
        for c in cells:
            if (c["attack"], c["library"]) == (attack, library) and "installed" in c:
                ratio = c["installed"]["wall"] / c["ours"]["wall"]
                print(f"{attack} against {library}: {ratio:.2f}, target {wanted}: {'met' if ratio >= wanted else 'MISSED'}")
    for c in cells:
        if not c["correct"] or "installed" not in c or c["few"] < c["count"]:
            continue
        ours, theirs = c["ours"], c["installed"]
        if ours["success"] < theirs["success"] - 0.01:
            print(f"success of {c['attack']}: {ours['success']:.3f}, {c['library']} {theirs['success']:.3f}: MISSED")
        if c["attack"].split(":")[0] in ("deepfool", "cw") and ours["l2"] and theirs["l2"] and ours["l2"] > 1.01 * theirs["l2"]:
            print(f"median L2 of {c['attack']}: {ours['l2']:.4f}, {c['library']} {theirs['l2']:.4f}: MISSED")


def bench(options, name):
    import peer_attacks as peers
    import real_images
    real = real_images.NETWORKS[name]
    count = options.images or max(IMAGES[real.side].values())
    pixels, labels = real_images.images(options.data, real.side, count)
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(options, name, real, folder, pixels, labels)
        print(f"## {name}\n\nours: {ours.measure('fgsm', min(16, count))['about']['software']}")
        for library in options.libraries.split(","):
            workers = [Library(options, name, library, allocator) for allocator in (False, True)]
            try:
                for attack in options.attacks.split(",") if options.attacks else ATTACKS:
                    base = attack.split(":")[0]
                    if library not in peers.ANCHORS[base] + peers.OTHERS.get(base, []):
                        continue
                    if attack == "cw" and library != "foolbox":
                        continue  # only Foolbox has an early abort to choose; the others are measured under cw:abort=none
                    if not cells:
                        workers[0].start()
                        about = workers[0].about
                        print(f"theirs: CPU capability {about['capability']}, {about['threads']} threads\n\n```\n{about['config'].split('  - Build settings')[0]}```\n\n"
                              f"{HEAD}\n" + "|---" * 11 + "|")
                    cells.append(cell(options, ours, attack, library, workers, folder))
                    print_cell(cells[-1])
            finally:
                for worker in workers:
                    worker.stop()
    print_verdicts(name, real.side, cells)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--bench")
    parser.add_argument("--worker")
    parser.add_argument("--networks", default="resnet20,mobilenet_v2")
    parser.add_argument("--attacks", default="")
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--images", type=int)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--ours", default="", help="further options of logit-bench attack, for instance --fold")
    options = parser.parse_args()
    if options.worker:
        return worker(options.data, options.networks, options.worker)
    print(f"{calibration.two_threads()}; OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', '(not set)')}\n")
    for name in options.networks.split(","):
        bench(options, name)


main()
