"""The same attacks by cleverhans 4.0.0, torchattacks 3.5.1, foolbox 3.3.4 and ART 1.20.1, called as their users call them.

A `Job` is one attack by one library on one network: job(images, labels) gives attacked images. Where a library draws a random
start, `noise` replaces it, so that both sides of a comparison begin at the same image.
"""
import contextlib, dataclasses, logging, warnings
import numpy as np, torch

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

# Which library's attack is the one of this project. What is left out is another algorithm under the same name:
# Foolbox's MI-FGSM does not normalise gradients, cleverhans's C&W carries Adam's state over between its search steps, ART's
# C&W has another line search, torchattacks' C&W has no search over c and its DeepFool stalls on the boundary. ART's DeepFool
# mixes up its classes unless it takes the gradients of all of them (`nb_grads` = classes).
ANCHORS = {
    "fgsm": ["cleverhans", "torchattacks", "foolbox", "art"],
    "bim": ["cleverhans", "torchattacks", "foolbox", "art"],
    "pgd": ["cleverhans", "torchattacks", "foolbox", "art"],
    "mim": ["torchattacks", "art"],
    "deepfool": ["foolbox", "art"],
    "cw": ["foolbox"],
}
# Timed beside the anchors, since it is what their users have.
OTHERS = {"deepfool": ["torchattacks"], "cw": ["cleverhans", "art"]}


@dataclasses.dataclass
class Network:
    """A module that maps float32 [n, 3, h, w] in [0,1] to logits."""
    module: torch.nn.Module
    shape: tuple
    classes: int


class Wrapped(torch.nn.Module):
    """A module behind a normalisation, or in channels-last layout."""

    def __init__(self, module, mean, deviation, channels_last):
        super().__init__()
        self.inner = module.to(memory_format=torch.channels_last) if channels_last else module
        self.channels_last = channels_last
        self.register_buffer("mean", torch.tensor(mean or [0.0] * 3).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation or [1.0] * 3).view(1, 3, 1, 1))
        self.normalises = mean is not None

    def forward(self, x):
        if self.normalises:
            x = (x - self.mean) / self.deviation
        return self.inner(x.contiguous(memory_format=torch.channels_last) if self.channels_last else x)


def load(path, shape, classes, mean=None, deviation=None, channels_last=False):
    """As a user loads it: eval mode, parameters as they are; behind a wrapper only where one is needed."""
    module = torch.jit.load(path).eval()
    if mean is not None or channels_last:
        module = Wrapped(module, mean, deviation, channels_last).eval()
    return Network(module, tuple(shape), classes)


def job(library, attack, p, network, batch, abort=True):
    """- p: the attack's parameters by the product's names. - batch: images at once, for libraries that divide themselves.
    - abort: C&W's early abort, for libraries that have it."""
    return {"cleverhans": _cleverhans, "torchattacks": _torchattacks, "foolbox": _foolbox, "art": _art}[library](
        attack, p, network, batch, abort)


def in_batches(function, batch):
    return lambda x, y: torch.cat([function(a, b) for a, b in zip(x.split(batch), y.split(batch))])


def _cleverhans(attack, p, network, batch, abort):
    from cleverhans.torch.attacks.carlini_wagner_l2 import carlini_wagner_l2
    from cleverhans.torch.attacks.fast_gradient_method import fast_gradient_method
    from cleverhans.torch.attacks.projected_gradient_descent import projected_gradient_descent
    net = network.module
    if attack == "fgsm":
        run = lambda x, y: fast_gradient_method(net, x, p["epsilon"], np.inf, clip_min=0, clip_max=1, y=y).detach()
    elif attack in ("bim", "pgd"):
        run = lambda x, y: projected_gradient_descent(
            net, x, p["epsilon"], p["step-size"], p["steps"], np.inf, clip_min=0, clip_max=1, y=y, rand_init=attack == "pgd",
            sanity_checks=False).detach()
    else:
        run = lambda x, y: carlini_wagner_l2(
            net, x, network.classes, y=y, lr=p["learning-rate"], confidence=p["confidence"], initial_const=p["initial-cost"],
            binary_search_steps=p["search-steps"], max_iterations=p["steps"]).detach()
    return in_batches(run, batch)


def _torchattacks(attack, p, network, batch, abort):
    import torchattacks
    net = network.module
    made = {
        "fgsm": lambda: torchattacks.FGSM(net, eps=p["epsilon"]),
        "bim": lambda: torchattacks.BIM(net, eps=p["epsilon"], alpha=p["step-size"], steps=p["steps"]),
        "pgd": lambda: torchattacks.PGD(net, eps=p["epsilon"], alpha=p["step-size"], steps=p["steps"], random_start=True),
        "mim": lambda: torchattacks.MIFGSM(
            net, eps=p["epsilon"], alpha=p["epsilon"] / p["steps"], steps=p["steps"], decay=p["decay"]),
        "deepfool": lambda: torchattacks.DeepFool(net, steps=p["steps"], overshoot=p["overshoot"]),
    }[attack]()
    return in_batches(lambda x, y: made(x, y).detach(), batch)


def _foolbox(attack, p, network, batch, abort):
    import foolbox
    model = foolbox.PyTorchModel(network.module, bounds=(0, 1), device="cpu")
    fixed = {
        "fgsm": lambda: foolbox.attacks.LinfFastGradientAttack(random_start=False),
        "bim": lambda: foolbox.attacks.LinfBasicIterativeAttack(
            abs_stepsize=p["step-size"], steps=p["steps"], random_start=False),
        "pgd": lambda: foolbox.attacks.LinfPGD(abs_stepsize=p["step-size"], steps=p["steps"], random_start=True),
        "deepfool": lambda: foolbox.attacks.L2DeepFoolAttack(
            steps=p["steps"], candidates=p["candidates"], overshoot=p["overshoot"]),
        "cw": lambda: foolbox.attacks.L2CarliniWagnerAttack(
            binary_search_steps=p["search-steps"], steps=p["steps"], stepsize=p["learning-rate"], confidence=p["confidence"],
            initial_const=p["initial-cost"], abort_early=abort),
    }
    made, epsilon = fixed[attack](), p.get("epsilon")
    return in_batches(lambda x, y: made(model, x, y, epsilons=epsilon)[0], batch)


def _art(attack, p, network, batch, abort):
    from art.attacks import evasion
    from art.estimators.classification import PyTorchClassifier
    classifier = PyTorchClassifier(
        network.module, loss=torch.nn.CrossEntropyLoss(), input_shape=network.shape, nb_classes=network.classes,
        clip_values=(0.0, 1.0), device_type="cpu")
    iterative = lambda step, starts, **more: dict(
        norm=np.inf, eps=p["epsilon"], eps_step=step, max_iter=p["steps"], batch_size=batch, verbose=False, **starts, **more)
    made = {
        "fgsm": lambda: evasion.FastGradientMethod(classifier, norm=np.inf, eps=p["epsilon"], batch_size=batch),
        "bim": lambda: evasion.ProjectedGradientDescent(classifier, **iterative(p["step-size"], {"num_random_init": 0})),
        "pgd": lambda: evasion.ProjectedGradientDescent(classifier, **iterative(p["step-size"], {"num_random_init": 1})),
        "mim": lambda: evasion.MomentumIterativeMethod(
            classifier, **iterative(p["epsilon"] / p["steps"], {}, decay=p["decay"])),
        "deepfool": lambda: evasion.DeepFool(
            classifier, max_iter=p["steps"], epsilon=p["overshoot"], batch_size=batch, verbose=False,
            nb_grads=network.classes if network.classes <= 100 else p["candidates"]),
        "cw": lambda: evasion.CarliniL2Method(
            classifier, confidence=p["confidence"], learning_rate=p["learning-rate"], binary_search_steps=p["search-steps"],
            max_iter=p["steps"], initial_const=p["initial-cost"], batch_size=batch, verbose=False),
    }[attack]()
    return lambda x, y: torch.from_numpy(made.generate(x.numpy(), y.numpy()))


@contextlib.contextmanager
def starting_from(noise):
    """Within, every library's random start is x + noise; batches must come in order, once."""
    import art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch as art_pgd
    import foolbox.attacks.gradient_descent_base as foolbox_pgd
    import eagerpy
    place = 0

    def following(count):
        nonlocal place
        place += count
        return noise[place - count:place]

    former = torch.Tensor.uniform_, art_pgd.random_sphere, foolbox_pgd.LinfBaseGradientDescent.get_random_start
    torch.Tensor.uniform_ = lambda self, low=0, high=1: self.copy_(following(len(self)))
    art_pgd.random_sphere = lambda n, m, eps, norm: following(n).reshape(n, m).numpy()
    foolbox_pgd.LinfBaseGradientDescent.get_random_start = lambda self, x, epsilon: x + eagerpy.astensor(following(len(x)))
    try:
        yield
    finally:
        torch.Tensor.uniform_, art_pgd.random_sphere, foolbox_pgd.LinfBaseGradientDescent.get_random_start = former
