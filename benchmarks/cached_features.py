"""Ants and bees: a new head on cached features, beside the loop of PyTorch's transfer-learning tutorial, frozen network.

    python -m benchmarks.cached_features [--epochs 25] [--seeds 3] [--short]

Both start from the files, train the same kind of output layer on the same frozen ImageNet network, and are measured on
the same validation images. The tutorial's "ConvNet as fixed feature extractor" is written as it stands: batches of 4,
four workers, random crops and flips, SGD 0.001 divided by ten every 7 epochs, 25 epochs, each of which sends every
training and validation image through the network. It keeps the epoch that was best on the validation images; the last
one's accuracy is printed beside it. Ours (lab 09) sends each image through once.
https://pytorch.org/tutorials/beginner/transfer_learning_tutorial.html
"""

import argparse
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from tqdm.auto import tqdm

from utils import data, runtime, transfer
from utils.pictures import picture_folder
from utils.pretrained import imagenet_network


def tutorial(epochs: int) -> tuple[float, list[float]]:
    """(seconds, validation accuracy after each epoch)."""
    start, folder, network = time.perf_counter(), data.ants_and_bees(), imagenet_network()
    last = [transforms.ToTensor(), transforms.Normalize(network.mean, network.std)]
    steps = {"train": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *last],
             "val": [transforms.Resize(256), transforms.CenterCrop(224), *last]}  # fmt: skip
    loaders = {part: DataLoader(picture_folder(folder / part, transforms.Compose(these)), batch_size=4, shuffle=True, num_workers=4)
               for part, these in steps.items()}  # fmt: skip
    model, loss_fn = transfer.new_head(network.model, network.head, 2), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(getattr(model, network.head).parameters(), lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    accuracies = []
    for _ in tqdm(range(epochs), desc="tutorial", unit="epoch"):
        model.train()
        for x, y in loaders["train"]:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            hits = [model(x).argmax(dim=1) == y for x, y in loaders["val"]]
        accuracies.append(torch.cat(hits).float().mean().item())
    return time.perf_counter() - start, accuracies


def cached() -> tuple[float, float]:
    """(seconds, validation accuracy)."""
    start, folder, network = time.perf_counter(), data.ants_and_bees(), imagenet_network()
    model = network.model.to(memory_format=torch.channels_last)
    features, labels = {}, {}
    for part in ("train", "val"):
        images, labels[part], _ = transfer.load_pictures(folder / part, network.size)
        batches = transfer.PictureBatches(images, labels[part], network.size, network.mean, network.std)
        features[part], _ = transfer.extract_features(model, network.head, batches)
    head = transfer.train_head(features["train"], labels["train"])
    with torch.no_grad():
        right = head(features["val"]).argmax(dim=1) == labels["val"]
    return time.perf_counter() - start, right.float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=25, help="of the tutorial's loop")
    parser.add_argument("--seeds", type=int, default=3, help="how often, in turn")
    parser.add_argument("--short", action="store_true", help="one epoch, once: does it run?")
    options = parser.parse_args()

    epochs, seeds = (1, 1) if options.short else (options.epochs, options.seeds)
    print(f"The tutorial's {epochs} epochs take some {10 * epochs} s on two cores, {seeds} times.", flush=True)
    for seed in range(seeds):
        runtime.seed_everything(seed)
        seconds, accuracies = tutorial(epochs)
        last, best = 100 * accuracies[-1], 100 * max(accuracies)
        print(f"tutorial: {seconds:7.1f} s, {last:.1f} % (its best epoch on these very images: {best:.1f} %)")
        own, accuracy = cached()
        print(f"cached:   {own:7.1f} s, {100 * accuracy:.1f} %; {seconds / own:.1f} times as fast", flush=True)


if __name__ == "__main__":
    main()
