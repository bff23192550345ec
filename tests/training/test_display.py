import io

import numpy as np
import pytest
from rich.console import Console

from micrograd_plus.training.display import _duration, draw_image


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (59.6, "1:00"), (75, "1:15"), (3599.7, "1:00:00"), (7384, "2:03:04")])
def test_durations(seconds, text):
    assert _duration(seconds) == text


def test_an_image_without_colour():
    image = np.zeros((3, 16), np.float32)
    image[0, :2] = image[1, 1:3] = image[2, 5] = 1
    lines = draw_image(image, colour=False).plain.splitlines()
    assert lines == ["▀█▄" + " " * 13, " " * 5 + "▀" + " " * 10]


def test_an_image_in_colour():
    image = np.array([[0.0] * 16, [1.0] * 16], np.float32)
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(draw_image(image, colour=True))
    assert "\x1b[38;2;0;0;0;48;2;255;255;255m▀" in console.file.getvalue()


def test_small_images_are_enlarged():
    lines = draw_image(np.ones((8, 8), np.float32), colour=False).plain.splitlines()
    assert lines == ["█" * 16] * 8
