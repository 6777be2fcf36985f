"""Growth: seconds per epoch by the number of images, and memory by the number of epochs.

    python -m benchmarks.growth [--short]

Lab 08's network trained for one epoch of 12,500, 25,000 and 50,000 images; the pipeline alone on the same; and the
memory of this process after epochs of the pipeline: it keeps the images once, and each epoch gives back what it took.
"""

import argparse
import time

import psutil
import torch

from utils import data

from . import lab_08


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="1,000 to 4,000 images, five epochs: does it run?")
    short = parser.parse_args().short

    images = data.cifar10()
    x, y = images.train_images, images.train_labels
    nothing = (x[:0], y[:0])
    print(f"{images.source}, {torch.get_num_threads()} threads\n")
    print(f"{'images':>8}{'training, s':>13}{'µs an image':>13}{'pipeline, s':>13}{'µs an image':>13}")
    for count in (1000, 2000, 4000) if short else (12_500, 25_000, 50_000):
        trained, *_ = lab_08.run(((x[:count], y[:count]), nothing, nothing), 1, 0, torch.device("cpu"))
        batches = data.Batches(x[:count], y[:count], batch_size=500, shuffle=True, augment=True)
        start = time.perf_counter()
        for _ in range(5):
            for _ in batches:
                pass
        fed = (time.perf_counter() - start) / 5
        print(f"{count:8,}{trained:13.2f}{1e6 * trained / count:13.0f}{fed:13.3f}{1e6 * fed / count:13.2f}", flush=True)
    process = psutil.Process()
    print(f"\n{'epochs':>8}{'memory, MB':>13}")
    for epoch in range(1, 6 if short else 51):
        for _ in batches:
            pass
        if epoch in (1, 5, 10, 20, 50):
            print(f"{epoch:8}{process.memory_info().rss / 2**20:13.0f}", flush=True)


if __name__ == "__main__":
    main()
