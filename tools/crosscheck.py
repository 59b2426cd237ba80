"""Our attacked images against torchattacks' on the same module and pixels; run through tools/crosscheck.

For each attack: the share of values of the attacked images that agree to 1e-6 and of equal arg maxes, with the gate it must
reach. PGD gets the same random start on both sides: Philox4x32-10 with the key of each image, 24 bits a float.
"""
import subprocess, sys, tempfile
import numpy as np, torch, torchattacks

data, count, bench = sys.argv[1], int(sys.argv[2]), sys.argv[3]
EPS, ALPHA, STEPS = 16 / 255, 2 / 255, 10
torch.set_num_threads(2)


def uniform(count, values):
    """U[0,1) of each image i with key i."""
    blocks = (values + 3) // 4
    mask = np.uint64(0xFFFFFFFF)
    c = [np.tile(np.arange(blocks, dtype=np.uint64), (count, 1))] + [np.zeros((count, blocks), np.uint64) for _ in range(3)]
    k = [np.arange(count, dtype=np.uint64)[:, None] & mask, np.arange(count, dtype=np.uint64)[:, None] >> np.uint64(32)]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & mask, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + np.uint64(0x9E3779B9)) & mask, (k[1] + np.uint64(0xBB67AE85)) & mask]
    words = np.stack(c, -1).reshape(count, -1)[:, :values]
    return (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24)


raw = np.fromfile(f"{data}/cifar10/test-lossless-1000.bin", np.uint8).reshape(-1, 3073)[:count]
x = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
y = torch.from_numpy(raw[:, 0].astype(np.int64))
noise = torch.from_numpy(uniform(count, 3072).reshape(x.shape))
failed = 0
print("network              attack  fold  agree 1e-6   gate     arg max  gate")
for name in ("cifar10_resnet20", "cifar10_densenet40_12"):
    path = f"{data}/networks/{name}.ts.pt"
    net = torch.jit.load(path).eval()
    for p in net.parameters():
        p.requires_grad_(False)
    theirs = {
        "fgsm": lambda: torchattacks.FGSM(net, eps=EPS)(x, y), "bim": lambda: torchattacks.BIM(net, eps=EPS, alpha=ALPHA, steps=STEPS)(x, y),
        "mim": lambda: torchattacks.MIFGSM(net, eps=EPS, alpha=EPS / STEPS, steps=STEPS, decay=1.0)(x, y),
        "pgd": lambda: torchattacks.PGD(net, eps=EPS, alpha=ALPHA, steps=STEPS, random_start=True)(x, y),
    }
    original = torch.Tensor.uniform_
    torch.Tensor.uniform_ = lambda self, low, high: self.copy_((2 * noise - 1) * high)  # the same start for both
    for attack, run in theirs.items():
        expected = run().detach()
        for fold in (False, True) if attack == "fgsm" else (False,):
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run([bench, "attack", "--module", path, "--images", f"{data}/cifar10/test-lossless-1000.bin", "--limit", str(count),
                                "--attack", attack, "--out", f"{folder}/x", "--logits", f"{folder}/z"] + (["--fold"] if fold else []), check=True)
                ours = torch.from_numpy(np.fromfile(f"{folder}/x", np.float32).reshape(x.shape))
                clean = torch.from_numpy(np.fromfile(f"{folder}/z", np.float32).reshape(count, -1))
            with torch.no_grad():
                reference, same = net(x), (net(ours).argmax(1) == net(expected).argmax(1)).float().mean().item()
            relative = ((clean - reference).abs().max() / reference.abs().max()).item()
            agree = ((ours - expected).abs() <= 1e-6).float().mean().item()
            gate = (0.995 if fold else 0.9999) if attack == "fgsm" else 0.99
            good = agree >= gate and same >= 0.995 and relative <= 1e-4
            failed += not good
            print(f"{name:20} {attack:7} {str(fold):5} {100 * agree:8.4f} %  {100 * gate:6.2f}   {100 * same:6.2f} %  99.50  {'ok' if good else 'MISSED'}"
                  f"   (clean logits within {relative:.1e} relative)", flush=True)
    torch.Tensor.uniform_ = original
sys.exit(1 if failed else 0)
