"""Drawn ants and bees in the place of the photographs, for a machine with no network.

The folders are those of the photographs, down to the one file that is no photograph:
`train/ants/imageNotFound.gif` reads well, and shows a web site's apology for a picture that it does not have.
The brush is that of `utils.standin`.
"""

import math
import random
from pathlib import Path

from PIL import Image, ImageDraw

from utils.standin import Canvas, about, clutter, field, plain, room, shade, thicket

COUNTS = {"train": 24, "val": 12}  # images a class


def write(folder: Path) -> None:
    """Write `train/{ants,bees}` and `val/{ants,bees}` into a folder: JPEG files, 96 x 96. The same ones each time."""
    for part, count in COUNTS.items():
        for name in DRAWINGS:
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                image = picture(name, random.Random(f"{part} {name} {i}"))
                image.save(folder / part / name / f"drawn_{i:02}.jpg", quality=92)
    apology = Image.new("P", (300, 300), 0)
    apology.putpalette([247, 247, 247, 63, 63, 65])
    ImageDraw.Draw(apology).multiline_text((85, 130), "WE'RE SORRY,\nthis image could not be found.", fill=1)
    apology.save(folder / "train" / "ants" / "imageNotFound.gif")


def picture(name: str, rng: random.Random) -> Image.Image:
    """One image (96 x 96, RGB) of the class `name`."""
    draw, places = DRAWINGS[name]
    canvas = Canvas(rng)
    rng.choice(places)(canvas)
    clutter(canvas, rng.randint(0, 3))
    canvas.put_object()
    draw(canvas)
    return canvas.image


def ant(c: Canvas) -> None:
    """From above: three parts with a thin waist, six legs from the middle one, bent feelers."""
    rng = c.rng
    coat = about(rng, 0.04, rng.choice((0.2, 0.7)), rng.choice((0.15, 0.4)), odd=0)
    for side in (-1, 1):
        for foot in (-0.65, 0.05, 0.6):
            foot += rng.gauss(0, 0.08)
            c.line(coat, 0.045, (0.05, 0), (0.1 + foot / 2, side * 0.35), (0.1 + foot, side * 0.75))
        c.line(coat, 0.035, (0.6, side * 0.08), (0.75, side * 0.35), (0.98, side * rng.uniform(0.3, 0.5)))
    c.ellipse(shade(coat, 1.3), -0.55, 0, 0.36, 0.24)
    c.ellipse(coat, 0.05, 0, 0.26, 0.13)
    c.ellipse(coat, 0.5, 0, 0.2, 0.18)


def bee(c: Canvas) -> None:
    """From above: a broad striped abdomen, a furry chest, two pale wings on each side."""
    rng = c.rng
    dark = about(rng, 0.08, 0.5, 0.15, odd=0)
    yellow = about(rng, 0.12, 0.75, 0.85, odd=0)
    wing = about(rng, 0.55, 0.1, 0.85, odd=0)
    spread = rng.uniform(0.2, 0.7)
    for side in (-1, 1):
        c.line(dark, 0.04, (0.55, side * 0.1), (0.85, side * 0.3))
        for length, lean in ((0.42, spread), (0.3, spread + 0.5)):
            angle = side * (math.pi / 2 + lean)
            c.ellipse(wing, 0.15 + length * math.cos(angle), length * math.sin(angle) + side * 0.1, length, 0.14, angle)
    c.ellipse(yellow, -0.4, 0, 0.5, 0.3)
    for x in (-0.75, -0.52, -0.28):
        half = 0.3 * math.sqrt(1 - ((x + 0.4) / 0.5) ** 2)
        c.line(dark, 0.1, (x, -half), (x, half))
    c.ellipse(shade(yellow, 0.7), 0.22, 0, 0.25, 0.24)
    c.ellipse(dark, 0.55, 0, 0.15, 0.18)


# what draws a class, and where it is most often seen
DRAWINGS = {
    "ants": (ant, (plain, room, field, thicket)),
    "bees": (bee, (thicket, thicket, field, plain)),
}
