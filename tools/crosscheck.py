"""Our attacked images against four Python libraries' and a plain PyTorch reference's, on the same module and pixels.

    crosscheck.py --data DATA --bench .build/release/logit-bench [--images 128] [--networks resnet20,…] [--attacks pgd,…]
    crosscheck.py --dump FOLDER [--report FILE]

A dump (Sources/Ingestion/AttackDump.swift) holds pixels and our results. FGSM, BIM, PGD and MIM are judged by the share of
values that agree to 1e-6 (a flipped gradient sign moves a value by twice the step, so the largest difference says little) and
by the share of equal arg maxes; DeepFool and C&W by the L2 norms of the perturbations.

Their side computes on two threads, in the memory layout of ours. Over ten steps the signs of a large network can drift apart
with the last bits of its arithmetic, whoever computes it: PyTorch on one thread differs from PyTorch on two. Where a share
misses its gate, PyTorch is held against itself, in the other layout and on one thread: the verdict is "explained" where one of
these agrees no better (to 2 points), else "MISSED". Foolbox's DeepFool fixes its candidates at the start: what it finds
elsewhere is "explained" where we find what the reference finds. An explained miss is a miss all the same.
Exit status 1: a gate was missed; 3: a library is missing.
"""
import argparse, contextlib, json, os, subprocess, sys, tempfile
import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait asleep leave busy cores to others

try:
    import torch
    import peer_attacks as peers
    import reference_attacks as reference
    import art.attacks, cleverhans.torch.attacks.fast_gradient_method, foolbox, torchattacks
except ImportError as missing:
    sys.stderr.write(f"crosscheck: {missing}; run tools/crosscheck, which installs the libraries\n")
    sys.exit(3)

SIGN_ATTACKS = ("fgsm", "bim", "pgd", "mim")
ALL = "fgsm,bim,pgd,mim,deepfool,cw,cw:abort=none"
BATCH = {32: 64, 224: 16}


@contextlib.contextmanager
def one_thread():
    """For one image at a time, which two threads on busy cores do 20 times as slowly."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(former)


class Dump:
    """One network's pixels and what our side made of them."""

    def __init__(self, folder):
        self.folder = folder
        self.about = json.load(open(f"{folder}/dump.json"))
        shape, classes = self.about["shape"], self.about["classes"]
        self.x = torch.from_numpy(self.read("pixels", np.float32).reshape(-1, *shape))
        self.logits = torch.from_numpy(self.read("logits", np.float32).reshape(-1, classes))
        self.channels_last = json.loads(self.about["software"])["channels_last"]
        self.network = self.load(self.channels_last)
        self.batch = BATCH.get(shape[1], 16)

    def load(self, channels_last):
        network = peers.load(
            self.about["module"], self.about["shape"], self.about["classes"], self.about.get("mean"),
            self.about.get("standard_deviation"), channels_last)
        for parameter in network.module.parameters():
            parameter.requires_grad_(False)
        return network

    def read(self, name, kind):
        return np.fromfile(f"{self.folder}/{name}", kind)

    def part(self, number):
        images = torch.from_numpy(self.read(f"{number}.images", np.float32).reshape(self.x.shape))
        return images, torch.from_numpy(self.read(f"{number}.labels", np.int32).astype(np.int64))

    def predict(self, images):
        with torch.no_grad():
            return torch.cat([self.network.module(b) for b in images.split(self.batch)])


def row(attack, anchor, images, measure, value, gate, verdict, arg_max="", note=""):
    return dict(attack=attack, anchor=anchor, images=images, measure=measure, value=value, arg_max=arg_max, gate=gate,
                verdict=verdict, note=note)


def clean_row(dump):
    theirs = dump.predict(dump.x)
    relative = ((dump.logits - theirs).abs().max() / theirs.abs().max()).item()
    same = (dump.logits.argmax(1) == theirs.argmax(1)).float().mean().item()
    return row("clean", "PyTorch", len(dump.x), "logits, of the largest", f"{relative:.1e}", "<= 1e-4",
               "ok" if relative <= 1e-4 else "MISSED",
               f"{100 * same:.2f} %")


def sign_rows(dump, number, about):
    """Value by value against each library that has the attack, and the reference."""
    name, p = about["name"], json.loads(about["parameters"])
    ours, y = dump.part(number)
    noise = reference.start_noise(range(len(ours)), ours.shape[1:], p["epsilon"]) if name == "pgd" else None
    first = sign_reference(dump, dump.network, name, p, y, noise)
    anchors = {"reference": first.images}
    for library in peers.ANCHORS[name]:
        with peers.starting_from(noise):
            anchors[library] = peers.job(library, name, p, dump.network, dump.batch)(dump.x, y)
    gate = (0.995 if dump.about["fold"] else 0.9999) if name == "fgsm" else 0.99
    after, rows, itself = dump.predict(ours).argmax(1), [], None
    for anchor, theirs in anchors.items():
        keep, note = torch.ones(len(ours), dtype=torch.bool), ""
        if name == "mim" and anchor != "reference":
            # They divide by the mean of a gradient however small it is; attacks of ours divide by 1e-12 at least.
            keep = first.least_slope > 1e-12
            note = f"{(~keep).sum().item()} images whose gradient falls below the floor of 1e-12 left out" if not keep.all() else ""
        agree = share_within(ours[keep], theirs[keep])
        same = (after == dump.predict(theirs).argmax(1))[keep].float().mean().item()
        verdict = "ok" if agree >= gate and same >= 0.995 else "MISSED"
        if verdict == "MISSED":
            itself = itself or self_agreement(dump, name, p, y, noise, first.images)
            shares, equal = zip(*itself)
            if agree >= min(*shares, gate) - 0.02 and same >= min(*equal, 0.995):
                verdict = "explained"
            words = "PyTorch with itself: {:.2%} in two layouts, {:.2%} on 1 and 2 threads".format(*shares)
            note = f"{words}; {note}" if note else words
        rows.append(row(about["attack"], anchor, keep.sum().item(), "values within 1e-6", f"{100 * agree:.4f} %",
                        f">= {100 * gate:g} %; arg max 99.5 %", verdict, f"{100 * same:.2f} %", note))
    return rows


def self_agreement(dump, name, p, y, noise, images):
    """What PyTorch gives again in the other layout, and on one thread: shares of values, and of arg maxes."""
    others = [sign_reference(dump, dump.load(not dump.channels_last), name, p, y, noise).images]
    with one_thread():
        others.append(sign_reference(dump, dump.network, name, p, y, noise).images)
    after = dump.predict(images).argmax(1)
    return [(share_within(o, images), (dump.predict(o).argmax(1) == after).double().mean().item()) for o in others]


def share_within(a, b):
    return ((a - b).abs() <= 1e-6).double().mean().item()


def sign_reference(dump, network, name, p, y, noise):
    parts = []
    for start in range(0, len(y), dump.batch):
        place = slice(start, start + dump.batch)
        x, labels = dump.x[place], y[place]
        if name == "fgsm":
            parts.append(reference.fgsm(network.module, x, labels, p["epsilon"]))
        else:
            step = p["epsilon"] / p["steps"] if name == "mim" else p["step-size"]
            parts.append(reference.iterate(
                network.module, x, labels, p["epsilon"], step, p["steps"], None if noise is None else noise[place],
                p.get("decay") if name == "mim" else None))
    least = None if name == "fgsm" else torch.cat([part.least_slope for part in parts])
    return reference.Attacked(torch.cat([part.images for part in parts]), [], least_slope=least)


def distance_rows(dump, number, about, few):
    """DeepFool and C&W: L2 norms of images that both sides fool."""
    name, p = about["name"], json.loads(about["parameters"])
    ours, y = dump.part(number)
    library = lambda which, batch, **more: peers.job(which, name, p, dump.network, batch, **more)
    some = (dump.x[:few], y[:few])
    if name == "deepfool":
        settings = p["candidates"], p["steps"], p["overshoot"]
        def again(images, clipped=False):
            with one_thread():
                return reference.deepfool(dump.network.module, images, *settings, clipped).images

        plain = again(some[0])
        rows = [distance_row(dump, about, "reference", ours, y, plain, 1e-3),
                distance_row(dump, about, "foolbox", ours, y, library("foolbox", dump.batch)(dump.x, y), 0.05, again=again)]
        if dump.about["classes"] <= p["candidates"]:
            # ART clips to [0,1] after each step, which the product must not: where that alone changes the reference's norm,
            # ART is no anchor.
            clipped = again(some[0], True)
            norms = [(images - some[0]).flatten(1).norm(dim=1) for images in (plain, clipped)]
            keep = (norms[0] - norms[1]).abs() <= 1e-4 * norms[1]
            rows.append(distance_row(dump, about, "art", ours, y, library("art", 1)(*some), 1e-3, keep))
        return rows
    abort = p["abort"] != "none"
    settings = p["confidence"], p["learning-rate"], p["steps"], p["search-steps"], p["initial-cost"], abort
    with one_thread():
        plain = reference.cw(dump.network.module, *some, *settings).images
    rows = [distance_row(dump, about, "reference", ours, y, plain, 1e-3)]
    if not abort:
        rows.append(distance_row(
            dump, about, "foolbox", ours, y, library("foolbox", dump.batch, abort=False)(dump.x, y), 1e-3))
    return rows


def distance_row(dump, about, anchor, ours, y, theirs, gate, keep=None, again=None):
    """- theirs: the first so many images. - keep: those of them that count.
    - again: attacks some images by the reference, to explain what lies beyond the gate."""
    count = len(theirs)
    x, ours, y = dump.x[:count], ours[:count], y[:count]
    a, b = dump.predict(ours).argmax(1), dump.predict(theirs).argmax(1)
    right = dump.predict(x).argmax(1) == y  # an image that was wrong before is no attack's success
    note = ""
    if keep is not None:
        note = f"; {(right & ~keep).sum().item()} images left out, which its clipping in each step changes"
        right = right & keep
    both = right & (a != y) & (b != y)
    if not both.any():
        return row(about["attack"], anchor, 0, "relative L2", "none", f"<= {gate:g}", "MISSED",
                   note="no image that both fool" + note)
    same = ((a == b) | ((a == y) & (b == y)))[right].float().mean().item()
    norms = [(images - x).flatten(1).norm(dim=1)[both] for images in (ours, theirs)]
    difference = (norms[0] - norms[1]).abs() / norms[1]
    relative, beyond = difference.sort().values, difference > gate
    share = (~beyond).float().mean().item()
    verdict = "ok" if share >= 0.99 and same >= 0.99 else "MISSED"
    if verdict == "MISSED" and again:
        odd = torch.zeros_like(both)
        odd[both.nonzero().flatten()[beyond]] = True
        odd |= right & (a != b)
        plain, mine = ((images - x[odd]).flatten(1).norm(dim=1) for images in (again(x[odd]), ours[odd]))
        if ((plain - mine).abs() <= 1e-3 * plain).all():
            verdict = "explained"
            note += f"; on the {odd.sum().item()} images where we differ the reference finds what we find"
    medians = [n.median().item() for n in norms]
    return row(
        about["attack"], anchor, int(both.sum()), "relative L2: median, worst",
        f"{relative[(len(relative) - 1) // 2].item():.1e}, {relative[-1].item():.1e}", f"<= {gate:g} for 99 %; arg max 99 %",
        verdict, f"{100 * same:.2f} %",
        f"{100 * share:.1f} % within; median L2 {medians[0]:.4f}, theirs {medians[1]:.4f}{note}")


def compare(folder, few, show):
    dump = Dump(folder)
    rows = []

    def keep(more):
        for each in more:
            rows.append(each)
            show(dump.about["network"], each)

    keep([clean_row(dump)])
    for number, about in enumerate(dump.about["parts"]):
        if about["name"] in SIGN_ATTACKS:
            keep(sign_rows(dump, number, about))
        elif about["name"] in ("deepfool", "cw"):
            keep(distance_rows(dump, number, about, min(few, len(dump.x))))
    return rows


def show_row(network, r):
    print(f"| {network} | {r['attack']} | {r['anchor']} | {r['images']} | {r['measure']} | {r['value']} | {r['arg_max']} "
          f"| {r['gate']} | {r['verdict']} | {r['note']} |", flush=True)


# Images for every anchor, and for the slow ones (one image at a time): shares of --images.
SHARES = {"resnet20": (1, 1 / 4), "densenet40_12": (1 / 2, 1 / 8), "mobilenet_v2": (1 / 8, 1 / 16), "squeezenet1_1": (1 / 8, 1 / 16)}


def real_network(options, name):
    """Dumps and compares one real network; prints its rows and returns how many gates were missed."""
    import real_images
    real, missed = real_images.NETWORKS[name], 0
    many, few = (max(4, round(options.images * s)) for s in SHARES[name])
    pixels, labels = real_images.images(options.data, real.side, many)
    for fold in (False, True):
        # Folding batch norm has a gate of its own for FGSM; the other attacks are judged as the product runs them.
        attacks = "fgsm" if fold else options.attacks
        if fold and "fgsm" not in options.attacks.split(","):
            continue
        with tempfile.TemporaryDirectory() as folder:
            pixels.tofile(f"{folder}/in.pixels")
            labels.tofile(f"{folder}/in.labels")
            subprocess.run(
                [options.bench, "attack", "--module", f"{options.data}/networks/{real.module}", "--shape",
                 f"3x{real.side}x{real.side}", "--pixels", f"{folder}/in.pixels", "--labels", f"{folder}/in.labels",
                 "--attack", attacks, "--out", folder, "--fold" if fold else "--no-fold"],
                check=True, stdout=subprocess.DEVNULL)
            label = name + (", folded" if fold else "")
            missed += sum(r["verdict"] != "ok" for r in compare(folder, few, lambda _, r: show_row(label, r)))
    return missed


def real_networks(options):
    print("| network | attack | anchor | images | measure | value | equal arg max | gate | | |\n" + "|---" * 10 + "|", flush=True)
    missed = sum(real_network(options, name) for name in options.networks.split(","))
    print("\n" + (f"{missed} gates missed" if missed else "no gate missed"))
    return missed


def main():
    parser = argparse.ArgumentParser()
    for name in ("--dump", "--report", "--data", "--bench"):
        parser.add_argument(name)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--few", type=int, default=16, help="images for the anchors that take one at a time")
    parser.add_argument("--networks", default="resnet20,densenet40_12,mobilenet_v2,squeezenet1_1")
    parser.add_argument("--attacks", default=ALL)
    options = parser.parse_args()
    torch.set_num_threads(2)
    if not options.dump:
        return 1 if real_networks(options) else 0
    rows = compare(options.dump, options.few, (lambda *_: None) if options.report else show_row)
    if options.report:
        json.dump(rows, open(options.report, "w"))
    return 1 if any(r["verdict"] != "ok" for r in rows) else 0


sys.exit(main())
