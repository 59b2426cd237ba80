"""Steps a second of a defender's training at the paper's size: ours on the sampler's stream, a plain C++ loop on the same LibTorch
and BLAS, and the same loop in PyTorch, interleaved; medians over the rounds.

    bench_train.py --bench .build/release/logit-bench --loop FILE [--folder DIR] [--rounds 5] [--steps 10] [--threads n]
        [--classes 1000] [--hidden 10000] [--batch 256]
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time
import calibration

WHOLE_CPP, OPTIMISER_CPP, PRODUCTS_CPP, WHOLE_PYTORCH, WAITING = 1.2, 2, 1, 1.3, 0.01


def pytorch(o):
    """The loop of a PyTorch user: torch.optim.Adam with its defaults, batches in memory."""
    import torch
    torch.set_num_threads(o.threads)
    net = torch.nn.Sequential(torch.nn.Linear(o.classes, o.hidden), torch.nn.ReLU(), torch.nn.Dropout(0.5),
                              torch.nn.Linear(o.hidden, o.classes))
    adam = torch.optim.Adam(net.parameters(), lr=5e-5, weight_decay=1e-4)
    inputs = [torch.randn(o.batch, o.classes) * 3 for _ in range(16)]
    labels = [torch.randint(o.classes, (o.batch,)) for _ in range(16)]
    steps = 0

    def step():
        nonlocal steps
        begin = time.monotonic()
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(inputs[steps % 16]), labels[steps % 16])
        loss.backward()
        between = time.monotonic()
        adam.step()
        steps += 1
        return time.monotonic() - between, between - begin, loss.item()

    step()
    print(json.dumps({"ready": True, "config": torch.__config__.show(), "version": torch.__version__}), flush=True)
    for line in sys.stdin:
        begin, used = time.monotonic(), time.process_time()
        parts = [step() for _ in range(int(line))]
        print(json.dumps(dict(steps=int(line), wall=time.monotonic() - begin, cpu=time.process_time() - used,
                              optimiser=sum(p[0] for p in parts), passes=sum(p[1] for p in parts), loss=parts[-1][2],
                              memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)), flush=True)


class Side:
    def __init__(self, name, command):
        self.name, self.rounds = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench-train: {self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def round(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self.rounds.append(self.answer())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def per_step(self, key):
        """Median milliseconds a step; None where this side does not measure it."""
        if key not in self.rounds[0]:
            return None
        return 1000 * statistics.median(r[key] / r["steps"] for r in self.rounds)


def ratios(ours, theirs, key, own=None):
    """Medians of round by round ratios: the machine is the same for both in a round."""
    return statistics.median((t[key] / t["steps"]) / (r[own or key] / r["steps"]) for r, t in zip(ours.rounds, theirs.rounds))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench"); parser.add_argument("--loop"); parser.add_argument("--folder")
    parser.add_argument("--rounds", type=int, default=5); parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--classes", type=int, default=1000); parser.add_argument("--hidden", type=int, default=10000)
    parser.add_argument("--batch", type=int, default=256); parser.add_argument("--pytorch", action="store_true")
    o = parser.parse_args()
    if o.pytorch:
        return pytorch(o)
    size = ["--classes", str(o.classes), "--hidden", str(o.hidden), "--batch", str(o.batch), "--threads", str(o.threads)]
    with tempfile.TemporaryDirectory() as made:
        folder = o.folder or f"{made}/corpus"
        ours = Side("ours", [o.bench, "train", "--folder", folder, "--serve", *size])
        loop = Side("C++ loop", [o.loop, str(o.classes), str(o.hidden), "2", "0.5", str(o.batch), str(o.threads)])
        torch = Side("PyTorch", [sys.executable, __file__, "--pytorch", *size])
        sides = [ours, loop, torch]
        for _ in range(o.rounds):
            for side in sides:
                side.round(o.steps)
        for side in sides:
            side.stop()
    print(f"{calibration.processor()}; {calibration.two_threads()}; {o.threads} threads\n")
    print(f"ours: {ours.rounds[-1]['software']}\nC++ loop: OpenBLAS kernel {loop.about['blas_kernel']}\n"
          f"PyTorch {torch.about['version']}:\n\n```\n{torch.about['config'].split('  - Build settings')[0]}```\n")
    print(f"C = {o.classes}, D = {o.hidden}, batch {o.batch}; medians of {o.rounds} interleaved rounds of {o.steps} steps\n")
    print("| | steps/s | wall ms | CPU ms | matrix products ms | optimiser ms | peak memory MiB |\n" + "|---" * 7 + "|")
    show = lambda value: "" if value is None else f"{value:.1f}"
    for side in sides:
        memory = side.rounds[-1].get("memory") or side.rounds[-1]["peakMemoryBytes"]
        print(f"| {side.name} | {1000 / side.per_step('wall'):.2f} | {show(side.per_step('wall'))} | {show(side.per_step('cpu'))} | "
              f"{show(side.per_step('products'))} | {show(side.per_step('optimiser'))} | {memory / 2**20:.0f} |")
    waiting = statistics.median(r["waiting"] / r["wall"] for r in ours.rounds)
    print(f"\nof ours, element by element {show(ours.per_step('elements'))} ms; the C++ loop's products are measured alone, beside its steps\n")
    print("| | ratio | target | |\n|---|---|---|---|")
    for name, value, wanted in [
            ("matrix products, C++ loop's / ours", ratios(ours, loop, "products"), PRODUCTS_CPP),
            ("optimiser step, C++ loop's / ours", ratios(ours, loop, "optimiser"), OPTIMISER_CPP),
            ("whole step, C++ loop's / ours", ratios(ours, loop, "wall"), WHOLE_CPP),
            ("optimiser step, PyTorch's / ours", ratios(ours, torch, "optimiser"), None),
            ("whole step, PyTorch's / ours", ratios(ours, torch, "wall"), WHOLE_PYTORCH)]:
        verdict = "" if wanted is None else ("met" if value >= wanted else "MISSED")
        print(f"| {name} | {value:.2f} | {wanted or ''} | {verdict} |")
    print(f"| waiting for data, of the time | {waiting:.2%} | below {WAITING:.0%} | {'met' if waiting < WAITING else 'MISSED'} |")


main()
