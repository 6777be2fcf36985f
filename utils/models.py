"""The networks of the course, from a linear classifier to the fast network of lab 08.

All take a batch of normalized images, float (B, 3, 32, 32), and return one logit a class, float (B, num_classes): scores
before the softmax, as `nn.CrossEntropyLoss` wants them. Weights are drawn from torch's global generator, so the same
`torch.manual_seed` gives the same network.
"""

import torch
from torch import nn


def linear(num_classes: int = 10) -> nn.Sequential:
    """One linear layer on the 3,072 pixel values: the model to beat by everything else."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))


def mlp(num_classes: int = 10, hidden: int = 256) -> nn.Sequential:
    """Two hidden layers; it sees pixels but not which of them are neighbours."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3 * 32 * 32, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )


class SmallCNN(nn.Module):
    """Three convolutions, each followed by batch norm, ReLU and pooling: 32 → 16 → 8 → 4 pixels a side (lab 08)."""

    def __init__(self, num_classes: int = 10, widths: tuple[int, int, int] = (16, 32, 64)):
        super().__init__()
        layers, channels = [], 3
        for width in widths:
            layers += [
                nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(width),  # it has a bias of its own, so the convolution needs none
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * 4 * 4, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


class SevenConv(nn.Module):
    """The seven-convolution network of a well-known article: lab 08's baseline.

    Six 3×3 convolutions of 8, 8, 32, 32, 128, 128 channels, each with a bias and followed by batch norm and ReLU; a
    pooling after each pair; then a 1×1 convolution to the classes, averaged over the 4×4 positions that are left.
    197,898 parameters for two classes, 198,930 for ten.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        layers, channels = [], 3
        for width in (8, 32, 128):
            for _ in range(2):
                layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.classifier(self.features(x))).flatten(1)


class ConvBlock(nn.Module):
    """convolution → pool → norm → GELU → convolution → norm → GELU; half as many pixels a side come out.

    The pooling stands right after the first convolution, so everything after it works on a quarter of the pixels.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = nn.BatchNorm2d(channels_out, momentum=0.4)  # few steps are trained: average over the last few
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out, momentum=0.4)
        self.activation = nn.GELU()
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad_(False)  # the scale that a norm sets, the next convolution can set too

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.norm1(self.pool(self.conv1(x))))
        return self.activation(self.norm2(self.conv2(x)))


class FastNet(nn.Module):
    """A small network that learns CIFAR-10 in minutes on two CPU cores (lab 08, "make it fast and good").

    A frozen 2×2 whitening convolution, three `ConvBlock`s, a max-pool and a scaled linear layer. After K. Jordan,
    "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", https://arxiv.org/abs/2404.00498, with narrower blocks.

    Call `whiten(images)` once, before training: without it the first layer is random and stays so.
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 64, 64), num_classes: int = 10):
        super().__init__()
        self.whitening = nn.Conv2d(3, 24, kernel_size=2, bias=False)  # twelve directions of 2×2×3, each with both signs
        self.whitening.requires_grad_(False)  # nothing to train there, so no gradient need come back to the largest layer
        self.blocks = nn.Sequential(
            nn.GELU(),
            ConvBlock(24, widths[0]),
            ConvBlock(widths[0], widths[1]),
            ConvBlock(widths[1], widths[2]),
            nn.AdaptiveMaxPool2d(1),  # 31 → 15 → 7 → 3 pixels a side → 1; images of another size may come in
            nn.Flatten(),
        )
        self.classifier = nn.Linear(widths[2], num_classes, bias=False)

    def whiten(self, images: torch.Tensor, eps: float = 5e-4) -> "FastNet":
        """Set the first layer so that its outputs on the 2×2 patches of `images` are uncorrelated and of equal size.

        Neighbouring pixels are nearly equal; a network spends its first steps on learning to see past that. The
        eigenvectors of the patches' covariance tell how, so this layer need not be learnt at all.

        Args:
            images: normalized training images, float (N, 3, 32, 32); a few thousand are enough.
            eps: added to the eigenvalues, so that directions with hardly any variance are not blown up.
        Returns:
            the network itself.
        """
        patches = nn.functional.unfold(images.float().cpu(), kernel_size=2)  # (N, 12, 31·31), each column a patch
        patches = patches.transpose(1, 2).reshape(-1, 12)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))  # columns of `directions`
        filters = (directions / (variances + eps).sqrt()).T.reshape(12, 3, 2, 2)
        with torch.no_grad():
            self.whitening.weight.copy_(torch.cat([filters, -filters]))
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.blocks(self.whitening(x))) / 9  # small logits: the loss starts calmly
