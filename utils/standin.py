"""Drawn images in the place of CIFAR-10, for a machine with no network.

The ten classes, the shapes and the dtypes are CIFAR-10's; the pictures are drawn by Pillow, each with its own pose,
colours, size, background and clutter. What helps on CIFAR-10 helps here: a linear model < an MLP < a small CNN < the
same CNN with augmentation (`python -m benchmarks.standin_ranks` shows both columns). Accuracies themselves say nothing
about photographs.

A picture is drawn at 96 x 96 and averaged down to 32 x 32. An object is drawn facing right, in its own coordinates:
x from -1 (left) to 1, y from -1 (top) to 1; `Canvas` turns, scales, mirrors and bends it into place.
"""

import colorsys
import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 10_000, "test": 2_000}
SIZE = 32  # pixels of a finished image
ZOOM = 3  # it is drawn this many times as large, then averaged down
WIDTH = SIZE * ZOOM
CIRCLE = [(math.cos(2 * math.pi * k / 18), math.sin(2 * math.pi * k / 18)) for k in range(18)]


def images(split: str, count: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw the first `count` images of a split.

    Args:
        split: "train" or "test"; their random streams are apart, so no test image is a training image.
        count: how many; all 10,000 or 2,000 if None. Image i is the same whatever the count. (Another version of
            Pillow may draw a few pixels differently.)
        seed: another seed draws another dataset.
    Returns:
        images (count, 32, 32, 3) uint8 in RGB, labels (count,) int64 that index `CLASSES`. Each ten in a row hold
        every class once, in random order.
    Raises:
        ValueError: an unknown split or a negative count.
    """
    if split not in COUNTS:
        raise ValueError(f"split is 'train' or 'test', not {split!r}")
    count = COUNTS[split] if count is None else count
    if count < 0:
        raise ValueError(f"count is {count}; it cannot be negative")
    labels = np.empty(count, dtype=np.int64)
    pictures = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    for i in range(count):
        if i % 10 == 0:
            order = random.Random(f"{seed} {split} order {i}").sample(range(10), 10)
        labels[i] = order[i % 10]
        pictures[i] = picture(CLASSES[labels[i]], random.Random(f"{seed} {split} {i}"))
    return pictures, labels


def picture(name: str, rng: random.Random) -> np.ndarray:
    """One image (32, 32, 3) uint8 of the class `name`."""
    draw, places = DRAWINGS[name]
    canvas = Canvas(rng)
    place = rng.choice(places if rng.random() < 0.75 else PLACES)
    place(canvas)
    clutter(canvas, rng.randint(0, 4))
    canvas.put_object()
    draw(canvas)
    if rng.random() < 0.7:
        clutter(canvas, rng.randint(1, 4), small=True)
    return canvas.finish()


class Canvas:
    """A picture in the making: points in object coordinates go through one random map, the same for all parts."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.image = Image.new("RGB", (WIDTH, WIDTH))
        self.pen = ImageDraw.Draw(self.image)
        self.put(0, 0, 1, 1, 0, 0)

    def put(self, x: float, y: float, x_scale: float, y_scale: float, angle: float, bend: float) -> None:
        """Place what is drawn from here on; (x, y) and scales in units of half the picture, the angle in radians."""
        cos, sin, half = math.cos(angle), math.sin(angle), WIDTH / 2
        self.map = (x_scale * cos * half, -y_scale * sin * half, (1 + x) * half,
                    x_scale * sin * half, y_scale * cos * half, (1 + y) * half)  # fmt: skip
        self.scale = half * math.sqrt(abs(x_scale * y_scale))
        self.bend, self.phase = bend, self.rng.uniform(0, 6)

    def put_object(self) -> None:
        """A random place, size, tilt, stretch, facing and bend."""
        uniform = self.rng.uniform
        size = uniform(0.65, 1.0)
        room = 1.05 - size
        facing = self.rng.choice((-1, 1))
        stretch = math.exp(uniform(-0.2, 0.2))
        self.put(uniform(-room, room), uniform(-room, room), facing * size * stretch, size / stretch,
                 self.rng.gauss(0, 0.12), uniform(-0.07, 0.07))  # fmt: skip

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixel of a point."""
        a, b, c, d, e, f = self.map
        x, y = x + self.bend * math.sin(3 * y + self.phase), y + self.bend * math.sin(3 * x + self.phase)
        return a * x + b * y + c, d * x + e * y + f

    def polygon(self, colour, *points) -> None:
        self.pen.polygon([self.at(x, y) for x, y in points], fill=colour)

    def blob(self, colour, *points) -> None:
        """A polygon with its corners cut twice (Chaikin), for bodies."""
        for _ in range(2):
            cut = []
            for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
                cut += [(0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1), (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1)]
            points = tuple(cut)
        self.polygon(colour, *points)

    def ellipse(self, colour, x, y, rx, ry, angle=0.0) -> None:
        cos, sin = math.cos(angle), math.sin(angle)
        self.polygon(colour, *((x + rx * c * cos - ry * s * sin, y + rx * c * sin + ry * s * cos) for c, s in CIRCLE))

    def line(self, colour, width, *points) -> None:
        self.pen.line([self.at(x, y) for x, y in points], fill=colour, width=max(2, round(width * self.scale)),
                      joint="curve")  # fmt: skip

    def box(self, colour, x0, y0, x1, y1) -> None:
        self.polygon(colour, (x0, y0), (x1, y0), (x1, y1), (x0, y1))

    def finish(self) -> np.ndarray:
        """Average down, then light, contrast, haze and noise as of a camera."""
        rng = self.rng
        image = self.image.filter(ImageFilter.BoxBlur(rng.uniform(1, 6))) if rng.random() < 0.5 else self.image
        x = np.asarray(image.reduce(ZOOM), dtype=np.float32)
        noise = np.random.default_rng(rng.getrandbits(64))
        rise = np.linspace(-1, 1, SIZE, dtype=np.float32)
        light = 1 + rng.uniform(-0.3, 0.3) * rise[:, None, None] + rng.uniform(-0.3, 0.3) * rise[None, :, None]
        tint = noise.uniform(0.85, 1.15, 3).astype(np.float32)
        x = (x - 120) * rng.uniform(0.4, 1.05) * light * tint + 120 + rng.uniform(-35, 35)
        x += noise.standard_normal((SIZE, SIZE, 3), dtype=np.float32) * rng.uniform(2, 14)
        return np.clip(x, 0, 255).astype(np.uint8)


# ---- colours


def hsv(h: float, s: float, v: float) -> tuple[int, int, int]:
    r, g, b = colorsys.hsv_to_rgb(h % 1, min(max(s, 0), 1), min(max(v, 0), 1))
    return int(255 * r), int(255 * g), int(255 * b)


def shade(colour, factor: float) -> tuple[int, int, int]:
    return tuple(min(255, int(part * factor)) for part in colour)


def about(rng, h, s, v, odd=0.15):
    """A colour near hue h, saturation s, value v (all 0 to 1); with the chance `odd` any colour."""
    if rng.random() < odd:
        return hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.15, 1))
    return hsv(rng.gauss(h, 0.03), rng.gauss(s, 0.12), rng.gauss(v, 0.15))


def paint(rng):
    """What a machine is painted in: white, grey, black or any colour."""
    if rng.random() < 0.5:
        return hsv(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.1, 1))
    return hsv(rng.random(), rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.95))


def fur(rng):
    """What a mammal wears: brown, sand, grey, black or white."""
    return about(rng, 0.07, rng.choice((0.05, 0.3, 0.55)), rng.uniform(0.1, 0.95), odd=0.04)


# ---- backgrounds (the canvas map is still the plain one: the picture is -1 to 1)


def gradient(c: Canvas, top, bottom, y0=-1.0, y1=1.0) -> None:
    steps = 12
    for k in range(steps):
        t = k / (steps - 1)
        row = y0 + (y1 - y0) * k / steps
        c.box(tuple(int(a + (b - a) * t) for a, b in zip(top, bottom, strict=True)), -1, row, 1, y1)


def sky(c: Canvas) -> None:
    rng = c.rng
    gradient(c, about(rng, 0.58, 0.5, 0.75), about(rng, 0.57, 0.2, 0.9))
    for _ in range(rng.choice((0, 0, 2, 4))):
        cloud = hsv(0.6, 0.05, rng.uniform(0.6, 1))
        c.ellipse(cloud, rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.2))


def horizon(c: Canvas, colour) -> float:
    """Sky above, `colour` below; returns the height of the line between."""
    sky(c)
    y = c.rng.uniform(-0.5, 0.6)
    gradient(c, shade(colour, 1.1), shade(colour, 0.75), y, 1.0)
    return y


def sea(c: Canvas) -> None:
    rng = c.rng
    water = about(rng, 0.56, 0.45, 0.5)
    y = horizon(c, water)
    for _ in range(rng.randint(0, 6)):
        x, wave = rng.uniform(-1, 1), rng.uniform(y, 1)
        c.line(shade(water, rng.choice((0.8, 1.3))), 0.03, (x - 0.25, wave), (x + 0.25, wave))


def field(c: Canvas) -> None:
    rng = c.rng
    grass = about(rng, rng.choice((0.13, 0.25, 0.3)), 0.5, 0.5)
    y = horizon(c, grass)
    for _ in range(rng.randint(0, 4)):
        x, r = rng.uniform(-1, 1), rng.uniform(0.15, 0.5)
        c.line(hsv(0.08, 0.5, 0.25), 0.06, (x, y), (x, y - r))
        c.ellipse(about(rng, 0.3, 0.5, 0.3), x, y - r, r * 0.7, r)


def road(c: Canvas) -> None:
    rng = c.rng
    y = horizon(c, about(rng, 0.1, 0.08, 0.45))
    for _ in range(rng.randint(0, 4)):
        x, w, h = rng.uniform(-1, 1), rng.uniform(0.1, 0.4), rng.uniform(0.2, 1)
        c.box(paint(rng), x - w, y - h, x + w, y)


def room(c: Canvas) -> None:
    rng = c.rng
    gradient(c, paint(rng), paint(rng))
    y = rng.uniform(-0.2, 0.9)
    gradient(c, about(rng, 0.07, 0.4, 0.6, 0.4), about(rng, 0.07, 0.4, 0.4, 0.4), y, 1.0)


def thicket(c: Canvas) -> None:
    rng = c.rng
    gradient(c, about(rng, 0.28, 0.4, 0.45), about(rng, 0.2, 0.4, 0.35))
    for _ in range(rng.randint(4, 10)):
        x, y, dx = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.gauss(0, 0.3)
        c.line(about(rng, 0.2, 0.4, 0.4), rng.uniform(0.02, 0.12), (x - dx, y - 0.7), (x + dx, y + 0.7))


def plain(c: Canvas) -> None:
    rng = c.rng
    if rng.random() < 0.5:
        gradient(c, paint(rng), paint(rng))
    else:
        c.box(paint(rng), -1, -1, 1, 1)


PLACES = (sky, sea, field, road, room, thicket, plain)


def clutter(c: Canvas, count: int, small: bool = False) -> None:
    """Things that are none of the ten."""
    rng = c.rng
    c.put(0, 0, 1, 1, 0, 0)
    for _ in range(count):
        x, y, r = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.08, 0.34 if small else 0.45)
        kind, colour = rng.randrange(3), paint(rng)
        if kind == 0:
            c.ellipse(colour, x, y, r, r * rng.uniform(0.3, 1), rng.uniform(0, 3))
        elif kind == 1:
            c.line(colour, r * 0.25, (x, y), (x + rng.gauss(0, 0.7), y + rng.gauss(0, 0.7)))
        else:
            c.polygon(colour, *((x + rng.gauss(0, r), y + rng.gauss(0, r)) for _ in range(4)))


# ---- the ten classes


def airplane(c: Canvas) -> None:
    rng = c.rng
    body = paint(rng)
    wing, dark = shade(body, rng.uniform(0.6, 0.9)), shade(body, 0.35)
    sweep, thick = rng.uniform(0.05, 0.5), rng.uniform(0.09, 0.16)
    if rng.random() < 0.5:  # from the side
        c.polygon(wing, (0.1, 0), (-0.15, 0), (-0.25 - sweep, -0.35), (-0.1 - sweep, -0.35))
        c.ellipse(body, 0, 0, 0.95, thick)
        c.polygon(body, (-0.6, 0), (-0.9, 0), (-1, -0.5), (-0.8, -0.5))
        c.polygon(wing, (0.2, 0.03), (-0.2, 0.03), (-0.3 - sweep, 0.4), (-0.1 - sweep, 0.4))
        c.ellipse(dark, 0.05 - sweep / 2, 0.22, 0.14, 0.07)
        c.line(dark, 0.04, (-0.5, -0.04), (0.75, -0.04))
    else:  # from below or above
        turn = rng.uniform(-1.5, 1.5)
        cos, sin = math.cos(turn), math.sin(turn)
        for side in (-1, 1):
            for x, chord, span, back in ((0.2, 0.35, 0.9, sweep), (-0.7, 0.2, 0.35, sweep / 2)):
                corners = ((x, 0), (x - back, span), (x - back - 0.15, span), (x - chord, 0))
                c.polygon(wing, *((u * cos - side * v * sin, u * sin + side * v * cos) for u, v in corners))
        c.ellipse(body, 0, 0, 0.95, thick, turn)


def wheel(c: Canvas, x: float, y: float, r: float) -> None:
    c.ellipse((20, 20, 22), x, y, r, r)
    c.ellipse(shade((150, 150, 155), c.rng.uniform(0.5, 1.2)), x, y, r * 0.5, r * 0.5)


def automobile(c: Canvas) -> None:
    rng = c.rng
    body, glass = paint(rng), about(rng, 0.57, 0.2, rng.choice((0.2, 0.6)))
    if rng.random() < 0.65:  # from the side
        roof, hood = rng.uniform(-0.65, -0.3), rng.uniform(0.3, 0.55)
        back = rng.choice((-0.95, -0.85, -0.6))
        c.polygon(body, (back, -0.05), (back + 0.25, roof), (0.2, roof), (hood, -0.05))
        c.polygon(glass, (back + 0.12, -0.07), (back + 0.28, roof + 0.07), (0.17, roof + 0.07), (hood - 0.1, -0.07))
        c.line(body, 0.06, (-0.15, roof), (-0.15, 0))
        c.blob(body, (-1, -0.12), (0.6, -0.12), (1.02, 0.05), (1.02, 0.3), (-1.02, 0.3))
        c.line(shade(body, 0.7), 0.05, (-0.9, 0.25), (0.95, 0.25))
        for x in (-0.6, 0.6):
            wheel(c, x, 0.28, 0.22)
        c.ellipse((250, 240, 190), 0.93, 0.06, 0.06, 0.05)
    else:  # from the front
        for x in (-0.6, 0.6):
            c.box((20, 20, 22), x - 0.14, 0.2, x + 0.14, 0.6)
        c.polygon(body, (-0.65, -0.1), (-0.5, -0.55), (0.5, -0.55), (0.65, -0.1))
        c.polygon(glass, (-0.55, -0.1), (-0.43, -0.47), (0.43, -0.47), (0.55, -0.1))
        c.blob(body, (-0.85, -0.12), (0.85, -0.12), (0.88, 0.45), (-0.88, 0.45))
        c.box(shade(body, 0.4), -0.35, 0.1, 0.35, 0.28)
        for x in (-0.6, 0.6):
            c.ellipse((250, 240, 190), x, 0.08, 0.13, 0.09)


def truck(c: Canvas) -> None:
    rng = c.rng
    cab, load, glass = paint(rng), paint(rng), about(rng, 0.57, 0.2, rng.choice((0.2, 0.6)))
    if rng.random() < 0.65:  # from the side
        top, low = rng.uniform(-0.75, -0.3), rng.random() < 0.35
        c.box((40, 40, 42), -1, 0.25, 0.9, 0.38)
        c.box(load, -1, 0.0 if low else top, 0.35, 0.28)
        nose = rng.choice((0.0, 0.25))
        c.polygon(cab, (0.42, -0.4), (0.8 - nose, -0.4), (0.92 - nose, -0.05), (1, 0), (1, 0.35), (0.42, 0.35))
        c.polygon(glass, (0.5, -0.3), (0.76 - nose, -0.3), (0.85 - nose, -0.03), (0.5, -0.03))
        for x in rng.choice(((-0.65, 0.68), (-0.8, -0.42, 0.68))):
            wheel(c, x, 0.4, 0.18)
    else:  # from the front
        for x in (-0.6, 0.6):
            c.box((20, 20, 22), x - 0.14, 0.4, x + 0.14, 0.8)
        c.box(load, -0.8, rng.uniform(-0.95, -0.6), 0.8, 0.3)
        c.blob(cab, (-0.7, -0.6), (0.7, -0.6), (0.75, 0.62), (-0.75, 0.62))
        c.box(glass, -0.58, -0.45, 0.58, -0.1)
        c.box(shade(cab, 0.4), -0.4, 0.08, 0.4, 0.4)
        for x in (-0.58, 0.58):
            c.ellipse((250, 240, 190), x, 0.42, 0.1, 0.08)


def ship(c: Canvas) -> None:
    rng = c.rng
    hull, top = paint(rng), paint(rng)
    if rng.random() < 0.35:  # under sail
        mast = rng.uniform(-0.2, 0.2)
        c.line((70, 50, 40), 0.05, (mast, 0.3), (mast, -1))
        c.polygon(top, (mast - 0.05, -0.95), (mast - 0.05, 0.15), (-0.75, 0.15))
        c.polygon(shade(top, 0.85), (mast + 0.05, -0.8), (mast + 0.05, 0.15), (0.7, 0.15))
    else:
        x = rng.uniform(-0.6, -0.1)
        for level in range(rng.randint(1, 3)):
            c.box(shade(top, 1 - 0.12 * level), x - 0.25 + 0.07 * level, 0.05 - 0.2 * level, x + 0.4, 0.3 - 0.2 * level)
        c.box(paint(rng), x - 0.1, -0.75, x + 0.1, -0.25)
        c.line((90, 90, 90), 0.04, (x + 0.5, 0.2), (x + 0.5, -0.7))
        for k in range(rng.choice((0, 3))):  # containers
            c.box(paint(rng), x + 0.55 - 0.2 * k, 0.0, x + 0.72 - 0.2 * k, 0.25)
    keel = rng.uniform(0.5, 0.65)
    c.polygon(hull, (-0.95, 0.22), (0.3, 0.25), (1.05, 0.12), (0.75, keel), (-0.8, keel))
    c.line(shade(hull, 0.6), 0.08, (-0.8, keel), (0.75, keel))


def bird(c: Canvas) -> None:
    rng = c.rng
    coat = about(rng, rng.choice((0.07, 0.1, 0.6)), rng.choice((0.1, 0.5)), rng.uniform(0.15, 0.95), 0.3)
    wing, beak = shade(coat, rng.choice((0.65, 1.4))), about(rng, 0.1, 0.7, 0.7)
    if rng.random() < 0.35:  # in flight
        for lift in (rng.uniform(-0.9, -0.3), rng.uniform(-0.8, 0.7)):
            c.blob(wing, (0.3, -0.05), (0.05, lift * 0.8), (-0.35, lift), (-0.2, lift * 0.3), (-0.3, 0.05))
        c.ellipse(coat, 0, 0, 0.5, 0.17)
        c.polygon(coat, (-0.35, -0.05), (-0.95, -0.15), (-0.9, 0.15), (-0.35, 0.08))
        head = (0.55, -0.08)
    else:  # on its legs
        neck = rng.choice((0.1, 0.1, 0.55))
        for x in (-0.05, 0.1):
            c.line(beak, 0.05, (x, 0.3), (x + 0.03, 0.65 + neck / 2), (x + 0.18, 0.67 + neck / 2))
        head = (0.4, -0.25 - neck)
        c.line(coat, 0.18, (0.25, 0), (0.33, -0.1 - neck / 2), head)
        c.polygon(wing, (-0.3, 0.1), (-0.95, 0.25 + rng.gauss(0, 0.2)), (-0.85, 0.45 + rng.gauss(0, 0.15)), (-0.2, 0.3))
        c.ellipse(coat, 0, 0.12, 0.5, 0.3, -0.4)
        c.ellipse(wing, -0.12, 0.13, 0.38, 0.16, -0.25)
    x, y = head
    c.polygon(beak, (x + 0.12, y - 0.1), (x + rng.uniform(0.35, 0.55), y + 0.04), (x + 0.12, y + 0.1))
    c.ellipse(coat, x, y, 0.2, 0.18)
    c.ellipse((10, 10, 10), x + 0.06, y - 0.04, 0.045, 0.045)


def frog(c: Canvas) -> None:
    rng = c.rng
    skin = about(rng, rng.choice((0.1, 0.25, 0.3)), 0.6, rng.uniform(0.3, 0.8), 0.2)
    dark, belly = shade(skin, 0.6), shade(skin, 1.35)
    if rng.random() < 0.5:  # from the front
        for side in (-1, 1):
            c.ellipse(dark, side * 0.65, 0.25, 0.33, 0.24, side * 0.6)
            c.line(skin, 0.14, (side * 0.4, 0.2), (side * 0.5, 0.6), (side * 0.7, 0.65))
            c.ellipse(skin, side * 0.36, -0.42, 0.2, 0.2)
        c.blob(skin, (-0.7, -0.4), (0.7, -0.4), (0.75, 0.55), (-0.75, 0.55))
        c.ellipse(belly, 0, 0.3, 0.4, 0.22)
        c.line(shade(skin, 0.3), 0.05, (-0.5, -0.02), (0, 0.08), (0.5, -0.02))
        eyes = ((-0.36, -0.45), (0.36, -0.45))
    else:  # from the side, sitting
        c.blob(skin, (-0.95, 0.45), (-0.5, -0.1), (0.3, -0.5), (0.95, -0.15), (0.6, 0.2), (0.2, 0.5))
        c.line(skin, 0.15, (0.35, 0.15), (0.4, 0.55), (0.65, 0.6))
        c.ellipse(dark, -0.45, 0.25, 0.42, 0.22, -0.5)
        c.line(dark, 0.12, (-0.65, 0.45), (0.05, 0.58))
        c.line(shade(skin, 0.3), 0.04, (0.35, -0.02), (0.85, -0.1))
        c.ellipse(skin, 0.35, -0.4, 0.18, 0.17)
        eyes = ((0.38, -0.42),)
    for x, y in eyes:
        c.ellipse((225, 200, 80), x, y, 0.12, 0.11)
        c.ellipse((10, 10, 10), x, y, 0.06, 0.07)
    for _ in range(rng.choice((0, 5))):
        c.ellipse(dark, rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.2), 0.06, 0.05)


def body(c: Canvas, coat, leg: float, thick: float, width: float, head_x: float, head_y: float, neck: float) -> None:
    """A four-legged trunk: two far legs, two near ones, the barrel, and a neck that ends at the head."""
    step = c.rng.uniform(-0.15, 0.15)
    for x, gait, tone in ((-0.45, -step, 0.65), (0.4, step, 0.65), (-0.55, step, 0.9), (0.3, -step, 0.9)):
        c.line(shade(coat, tone), width, (x, 0.15), (x + gait, 0.2 + leg / 2), (x + gait / 2, 0.2 + leg))
    c.blob(coat, (-0.75, 0.05 - thick), (0.6, -thick), (0.62, 0.02 + thick), (-0.75, 0.05 + thick))
    c.polygon(coat, (0.2, -thick + 0.06), (head_x - neck, head_y), (head_x + neck, head_y + 0.1), (0.52, thick * 0.7))


def face(c: Canvas, coat, ears, muzzle: float) -> None:
    """A cat's or dog's head from the front, with its ears given as points right of the middle."""
    rng = c.rng
    for side in (-1, 1):
        c.blob(shade(coat, 0.75), *((side * x, y) for x, y in ears))
    c.ellipse(coat, 0, 0.05, 0.65, rng.uniform(0.55, 0.7))
    c.ellipse(shade(coat, rng.choice((0.7, 1.3))), 0, 0.35, muzzle, muzzle * 0.8)
    c.ellipse((30, 20, 20), 0, 0.22, muzzle * 0.35, 0.09)
    iris = about(rng, rng.choice((0.08, 0.2)), 0.6, 0.6)
    for side in (-1, 1):
        c.ellipse(iris, side * 0.27, -0.08, 0.12, 0.1)
        c.ellipse((5, 5, 5), side * 0.27, -0.08, 0.06, 0.09)


def cat(c: Canvas) -> None:
    rng = c.rng
    coat = fur(rng)
    stripe = shade(coat, 0.55)
    if rng.random() < 0.45:
        face(c, coat, ((0.1, -0.4), (0.55, -1.15), (0.72, 0.05), (0.3, 0.0)), rng.uniform(0.22, 0.35))
        for side in (-1, 1) if rng.random() < 0.5 else ():
            c.line((230, 230, 230), 0.02, (side * 0.2, 0.35), (side * 0.8, 0.25))
        return
    c.line(coat, 0.11, (-0.7, 0), (-0.95, -0.3 + rng.gauss(0, 0.2)), (-0.85, -0.75 + rng.gauss(0, 0.2)))
    body(c, coat, rng.uniform(0.35, 0.5), 0.22, 0.13, 0.65, -0.25, 0.15)
    for x in (-0.5, -0.25, 0.0, 0.25) if rng.random() < 0.3 else ():
        c.line(stripe, 0.06, (x, -0.15), (x + 0.05, 0.12))
    for x in (0.55, 0.85):
        c.polygon(stripe, (x - 0.14, -0.4), (x, -0.78), (x + 0.14, -0.4))
    c.ellipse(coat, 0.7, -0.33, 0.27, 0.24)
    c.ellipse(shade(coat, 1.3), 0.85, -0.25, 0.1, 0.08)
    c.ellipse((160, 190, 60), 0.78, -0.38, 0.06, 0.06)


def dog(c: Canvas) -> None:
    rng = c.rng
    coat = fur(rng)
    dark = shade(coat, 0.55)
    floppy = rng.random() < 0.5
    if rng.random() < 0.45:
        hanging, upright = ((0.3, -0.5), (0.75, -0.5), (1.0, 0.4), (0.6, 0.3)), ((0.1, -0.4), (0.55, -1.1), (0.72, 0), (0.3, 0))
        face(c, coat, hanging if floppy else upright, rng.uniform(0.25, 0.4))
        if floppy and rng.random() < 0.6:
            c.ellipse((220, 90, 110), 0, 0.62, 0.1, 0.18)
        return
    c.line(coat, 0.1, (-0.7, -0.05), (-0.95, -0.35 + rng.gauss(0, 0.2)))
    body(c, coat, rng.uniform(0.4, 0.6), 0.24, 0.14, 0.62, -0.3, 0.15)
    c.ellipse(coat, 0.65, -0.35, 0.25, 0.22)
    c.blob(shade(coat, 0.9), (0.65, -0.45), (1.1, -0.33), (1.1, -0.15), (0.65, -0.12))
    c.ellipse((15, 15, 15), 1.05, -0.3, 0.06, 0.05)
    c.ellipse((15, 15, 15), 0.75, -0.4, 0.04, 0.04)
    if floppy:
        c.ellipse(dark, 0.5, -0.25, 0.1, 0.23, 0.2)
    else:
        c.polygon(dark, (0.42, -0.45), (0.5, -0.8), (0.65, -0.45))
    if rng.random() < 0.4:
        c.ellipse(rng.choice((dark, (235, 230, 225))), rng.uniform(-0.4, 0.2), -0.02, 0.22, 0.15)


def deer(c: Canvas) -> None:
    rng = c.rng
    coat = about(rng, 0.07, 0.5, rng.uniform(0.25, 0.8), 0.1)
    antler = about(rng, 0.09, 0.3, rng.choice((0.3, 0.75)), 0)
    c.ellipse((235, 230, 220), -0.72, -0.02, 0.1, 0.14)
    x, y = rng.uniform(0.6, 0.75), rng.uniform(-0.7, -0.5)
    leg, thick, width, neck = rng.uniform(0.55, 0.75), rng.uniform(0.18, 0.25), rng.uniform(0.07, 0.1), rng.uniform(0.08, 0.13)
    body(c, coat, leg, thick, width, x, y, neck)
    for lean in (-0.12, 0.12):
        c.ellipse(coat, x - 0.12 + lean, y - 0.16, 0.06, 0.15, lean * 4 - 0.4)
        if rng.random() < 0.4:
            tip = (x + lean * 2.5 - 0.1, y - 0.55)
            c.line(antler, 0.05, (x + lean / 2, y - 0.1), (x + lean * 1.2 - 0.1, y - 0.35), tip)
            c.line(antler, 0.05, (x + lean - 0.05, y - 0.3), (x + lean + 0.2, y - 0.5))
    c.ellipse(coat, x + 0.12, y, 0.24, 0.12, 0.35)
    c.ellipse((15, 15, 15), x + 0.31, y + 0.07, 0.05, 0.05)
    for _ in range(rng.choice((0, 6))):
        c.ellipse(shade(coat, 1.6), rng.uniform(-0.5, 0.3), rng.uniform(-0.15, 0.1), 0.045, 0.045)


def horse(c: Canvas) -> None:
    rng = c.rng
    coat = fur(rng)
    mane = shade(coat, rng.choice((0.35, 0.5, 1.5)))
    x, y = rng.uniform(0.65, 0.85), rng.uniform(-0.65, -0.4)
    c.line(mane, 0.14, (-0.7, -0.1), (-0.92, 0.15), (-0.9 + rng.gauss(0, 0.08), 0.55))
    body(c, coat, rng.uniform(0.5, 0.7), rng.uniform(0.2, 0.28), rng.uniform(0.08, 0.12), x, y, rng.uniform(0.1, 0.16))
    c.line(mane, 0.13, (x - 0.08, y - 0.15), (x - 0.28, y + 0.1), (0.2, -0.22))
    c.ellipse(coat, x + 0.14, y + 0.06, 0.33, 0.14, 0.75)
    c.polygon(coat, (x - 0.12, y - 0.1), (x - 0.04, y - 0.33), (x + 0.08, y - 0.1))
    c.ellipse((15, 15, 15), x + 0.06, y - 0.04, 0.04, 0.04)
    if rng.random() < 0.25:  # saddle
        c.blob(paint(rng), (-0.25, -0.35), (0.15, -0.35), (0.12, 0.08), (-0.22, 0.08))


# what draws a class, and where it is most often seen
DRAWINGS = {
    "airplane": (airplane, (sky, sky, plain, road)),
    "automobile": (automobile, (road, road, field, plain)),
    "bird": (bird, (sky, field, thicket, sea)),
    "cat": (cat, (room, room, plain, field)),
    "deer": (deer, (field, thicket)),
    "dog": (dog, (room, room, plain, field)),
    "frog": (frog, (thicket, plain, field, room)),
    "horse": (horse, (field, field, thicket, road)),
    "ship": (ship, (sea, sea, sky)),
    "truck": (truck, (road, road, field, plain)),
}
