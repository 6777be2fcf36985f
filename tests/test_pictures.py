"""Pictures from anywhere: each kind is read as it looks, and what cannot be read says so in a sentence."""

import numpy as np
import pytest
from PIL import Image

from utils.download import DataError
from utils.pictures import odd_pictures, open_picture, picture_folder

RED = (204, 0, 51)  # of the palette that every GIF file may use


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def left_red(size=(40, 20)):
    image = Image.new("RGB", size, "white")
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image


def pixel(image, x, y):
    return np.array(image.getpixel((x, y)))


@pytest.mark.parametrize(("name", "mode", "word"), [
    ("a.png", "RGB", None), ("a.png", "L", "Grey"), ("a.png", "1", "Grey"), ("a.tif", "CMYK", "CMYK"),
    ("a.gif", "P", "palette"), ("a.png", "RGBA", "Transparent"), ("a.png", "LA", "Transparent"),
])
def test_every_mode_becomes_rgb_and_is_told(tmp_path, name, mode, word):
    image = open_picture(save(tmp_path / "x" / name, left_red().convert(mode)))
    assert image.mode == "RGB" and image.size == (40, 20)
    assert pixel(image, 35, 10).min() > 240
    if mode in ("L", "1", "LA"):
        assert len(set(pixel(image, 5, 10))) == 1
    else:
        assert np.abs(pixel(image, 5, 10) - RED).max() < 12
    told = odd_pictures(tmp_path)
    assert told == {} if word is None else word in told[f"x/{name}"]
    assert ("passes over .gif files" in str(told)) == (name == "a.gif")


def test_sixteen_bits_keep_their_range(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    image = np.asarray(open_picture(save(tmp_path / "x" / "a.png", Image.fromarray(ramp))))
    assert np.abs(image[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert "16 bits" in odd_pictures(tmp_path)["x/a.png"]


def test_the_camera_was_held_sideways(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying; to be turned clockwise
    path = save(tmp_path / "x" / "a.jpg", left_red(), exif=exif, quality=95)
    image = open_picture(path)
    assert image.size == (20, 40)
    assert np.abs(pixel(image, 10, 5) - RED).max() < 12  # what was left is now above
    assert "EXIF" in odd_pictures(tmp_path)["x/a.jpg"]


def test_transparent_becomes_white(tmp_path):
    image = left_red().convert("RGBA")
    image.putalpha(0)
    assert pixel(open_picture(save(tmp_path / "a.png", image)), 5, 5).tolist() == [255, 255, 255]


def test_what_cannot_be_read(tmp_path):
    whole = save(tmp_path / "whole.jpg", Image.effect_noise((64, 64), 50)).read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    (tmp_path / "empty.jpg").touch()
    save(tmp_path / "float.tif", Image.new("F", (8, 8), 0.5))
    png = save(tmp_path / "broken.png", left_red()).read_bytes()
    (tmp_path / "broken.png").write_bytes(png[:50] + b"!" + png[51:])
    words = {"half.jpg": "breaks off", "page.jpg": "no picture", "empty.jpg": "no picture", "float.tif": "floating-point",
             "broken.png": "breaks off", "none.jpg": "There is no file"}
    for name, word in words.items():
        with pytest.raises(DataError, match=word):
            open_picture(tmp_path / name)
    told = odd_pictures(tmp_path)
    assert all(words[name] in told[name] for name in words if name != "none.jpg")


def test_a_folder_is_read_by_classes(tmp_path):
    for name in ("ants", "bees"):
        save(tmp_path / name / "a.png", left_red().convert("L"))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "notes.txt").touch()
    pictures = picture_folder(tmp_path, transform=lambda image: image.mode)
    assert pictures.classes == ["ants", "bees"] and list(pictures) == [("RGB", 0), ("RGB", 1)]


def test_folders_that_are_no_classes(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        picture_folder(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        picture_folder(tmp_path / "none")
    save(tmp_path / "ants" / "a.png", left_red())
    (tmp_path / ".ipynb_checkpoints").mkdir()
    with pytest.raises(DataError, match="two classes or more.*one folder, 'ants'"):
        picture_folder(tmp_path)
    (tmp_path / "bees").mkdir()
    with pytest.raises(DataError, match="without pictures.*bees"):
        picture_folder(tmp_path)
