"""The fixture networks, one of each of the paper's three families, small enough to be committed and to be attacked in a demo.

All take float32 RGB in [0,1], normalise inside and return the logits of 100 classes.
"""
import torch
from torch import nn

CLASS_COUNT = 100


def convolution(inside, outside, size=3, stride=1):
    return nn.Conv2d(inside, outside, size, stride, size // 2, bias=False)


class Plain(nn.Module):
    """VGG's family: stacks of 3 x 3 convolutions with batch norm, max pooling between them, a fully connected head."""
    def __init__(self):
        super().__init__()
        layers = []
        for inside, outside in ((3, 16), (16, 32), (32, 64)):
            for first in (inside, outside):
                layers += [convolution(first, outside), nn.BatchNorm2d(outside), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 4 * 4, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, CLASS_COUNT))

    def forward(self, x):
        return self.head(self.body((x - 0.5) / 0.25))


class ResidualBlock(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.a, self.an = convolution(inside, outside, 3, stride), nn.BatchNorm2d(outside)
        self.b, self.bn = convolution(outside, outside), nn.BatchNorm2d(outside)
        self.short = nn.Identity() if stride == 1 and inside == outside else nn.Sequential(
            convolution(inside, outside, 1, stride), nn.BatchNorm2d(outside))

    def forward(self, x):
        y = torch.relu(self.an(self.a(x)))
        return torch.relu(self.bn(self.b(y)) + self.short(x))


class Residual(nn.Module):
    """ResNet's family."""
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 16), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(ResidualBlock(16, 16, 1), ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2))
        self.head = nn.Linear(64, CLASS_COUNT)

    def forward(self, x):
        x = self.body(self.stem((x - 0.5) / 0.25))
        return self.head(x.mean((2, 3)))


class DenseLayer(nn.Module):
    """Batch norm, ReLU, convolution; its input goes on beside its output."""
    def __init__(self, inside, growth):
        super().__init__()
        self.norm, self.convolution = nn.BatchNorm2d(inside), convolution(inside, growth)

    def forward(self, x):
        return torch.cat([x, self.convolution(torch.relu(self.norm(x)))], 1)


class Dense(nn.Module):
    """DenseNet's family: three dense blocks, and transitions with a 1 x 1 convolution and average pooling."""
    def __init__(self, growth=16):
        super().__init__()
        width = 24
        layers = [convolution(3, width), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        for block in range(3):
            if block > 0:
                layers += [nn.BatchNorm2d(width), nn.ReLU(), convolution(width, width // 2, 1), nn.AvgPool2d(2)]
                width //= 2
            for _ in range(4):
                layers.append(DenseLayer(width, growth))
                width += growth
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, CLASS_COUNT)

    def forward(self, x):
        return self.head(self.body((x - 0.5) / 0.25).mean((2, 3)))


FAMILIES = {"plain": Plain, "residual": Residual, "dense": Dense}


def train(name, images, labels, test_images, test_labels, epochs):
    """Trains a network of the family on uint8 images (count, 32, 32, 3), prints its accuracy, and returns it ready to save."""
    torch.manual_seed(1)
    tensor = lambda a: torch.from_numpy(a).permute(0, 3, 1, 2).float().div(255)
    x, y = tensor(images), torch.from_numpy(labels)
    test_x, test_y = tensor(test_images), torch.from_numpy(test_labels)
    net = FAMILIES[name]()
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2)
    steps = epochs * (len(x) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(x))
        for i in range(len(x) // 128):
            batch = order[i * 128:(i + 1) * 128]
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            right = (net(test_x).argmax(1) == test_y).float().mean().item()
        print(f"{name}, epoch {epoch + 1}: loss {loss.item():.3f}, test accuracy {100 * right:.2f} %", flush=True)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return torch.jit.script(net)
