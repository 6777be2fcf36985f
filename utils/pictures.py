"""Pictures from anywhere as RGB: what cameras, scanners and web sites write, and what is broken (lab 09)."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from .download import DataError

ORIENTATION = 0x0112  # the EXIF entry that says how the camera was held


def open_picture(path: str | Path) -> Image.Image:
    """A picture file as 8-bit RGB, the way up in which it was taken; of an animation, the first frame.

    Grey, CMYK, palette and 16-bit pixels are converted; what is transparent becomes white.

    Raises:
        DataError: there is no such file, it is no picture, it breaks off, or its pixels have no known range.
    """
    return _read(Path(path))[0]


def odd_pictures(root: str | Path) -> dict[str, str]:
    """What is unusual about the files of a folder, and what `open_picture` makes of it (lab 09).

    Returns:
        a sentence for each file, by its path in the folder, that is not a plain RGB picture: none for those that are.
    """
    root, sentences = Path(root), {}
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not _hidden(path.relative_to(root))):
        try:
            sentence = _read(path)[1]
        except DataError as error:
            sentence = str(error)
        if path.suffix.lower() not in IMG_EXTENSIONS:
            sentence = f"{sentence} ImageFolder passes over {path.suffix or 'such'} files.".strip()
        if sentence:
            sentences[path.relative_to(root).as_posix()] = sentence
    return sentences


def picture_folder(root: str | Path, transform=None) -> ImageFolder:
    """torchvision's `ImageFolder`, read by `open_picture`: one folder of pictures a class, `root/CLASS/*` (lab 09).

    Hidden folders (Jupyter leaves `.ipynb_checkpoints`) are no classes.

    Raises:
        DataError: there is no such folder, it has fewer than two classes, or a class has no picture.
    """
    if not Path(root).is_dir():
        raise DataError(f"There is no folder {root}.")
    try:
        return _Pictures(root, transform=transform, loader=open_picture)
    except FileNotFoundError as error:  # torchvision's sentence names the classes without a file
        raise DataError(f"A class without pictures: {error} Fill the folder, or remove it.") from None


class _Pictures(ImageFolder):
    def find_classes(self, directory):
        classes = sorted(path.name for path in Path(directory).iterdir() if path.is_dir() and not _hidden(Path(path.name)))
        if len(classes) < 2:
            found = f"one folder, {classes[0]!r}" if classes else "no folder"
            raise DataError(f"A classifier needs two classes or more, each a folder of pictures; {directory} has {found}. "
                            "Is it the folder above, or the one below, that you mean?")
        return classes, {name: i for i, name in enumerate(classes)}


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(path: Path) -> tuple[Image.Image, str]:
    """A picture as RGB, and a sentence on what was unusual about it, or ""."""
    try:
        with Image.open(path) as image:
            image.load()
            turned = image.getexif().get(ORIENTATION, 1) != 1
            upright = ImageOps.exif_transpose(image)
            rgb, sentence = _rgb(upright)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is no picture that Pillow can read.") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path} claims more pixels than any photograph has, and was not opened.") from None
    except (OSError, SyntaxError, ValueError) as error:  # a broken PNG raises SyntaxError
        raise DataError(f"{path} is damaged or breaks off ({error}): fetch it again, or leave it out.") from None
    if turned:
        sentence = f"{sentence} The camera was held sideways: turned upright, as its EXIF entry says.".strip()
    return rgb, sentence


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy(), ""
    if image.mode in ("L", "1"):
        return image.convert("RGB"), "Grey: its one channel is taken three times."
    if image.mode.startswith("I"):  # convert("RGB") would cut at 255: nearly all white
        pixels = np.asarray(image).astype(np.float64)
        grey = Image.fromarray((pixels.clip(0, 65535) / 257).round().astype(np.uint8))
        return grey.convert("RGB"), "Grey with 16 bits a pixel: scaled to 8 bits, its one channel taken three times."
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, and nothing says which of them is white")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"), "Transparent in places: laid on white."
    kind = {"CMYK": "CMYK, made for printing", "P": "Coloured by a palette, as GIF files are"}.get(image.mode, image.mode)
    return image.convert("RGB"), f"{kind}: converted to RGB."
