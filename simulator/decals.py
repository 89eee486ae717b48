"""Procedural textures of vehicles and road signs; all are RGB, uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from simulator.textures import noise, to_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Colour = tuple[int, int, int]

SIGN_CELLS = 4
"""Signs lie in a grid of this many rows and columns."""
ROUND, TRIANGLE, SQUARE = (0, 1, 2, 3, 4, 5), (6, 7, 8), (9, 10, 11, 12, 13)
"""Cell numbers by the shape of the plate; cell 14 is a plate's grey back, 15 a dark one."""

SIDE, FRONT, REAR, WHEEL, PAINT, DARK = (
    (0.0, 0.625, 1.0, 1.0),
    (0.0, 0.25, 0.375, 0.625),
    (0.75, 0.25, 0.375, 0.625),
    (0.752, 0.377, 0.998, 0.623),
    (0.02, 0.02, 0.45, 0.22),
    (0.55, 0.02, 0.95, 0.22),
)
"""Texture rectangles of a vehicle texture; the rear is seen the other way round."""

_WHITE, _RED, _BLUE, _BLACK = (238, 238, 236), (188, 24, 32), (24, 72, 160), (24, 24, 26)


def _plate(kind: int, rng: Generator) -> Image:
    image = np.full((128, 128, 3), 150, np.uint8)
    middle = (64, 64)
    if kind in ROUND:
        blue, no_entry = kind in (3, 4), kind == 2
        image[:] = _BLUE if blue else _RED
        if no_entry:
            cv2.rectangle(image, (22, 50), (106, 78), _WHITE, -1)
        elif blue:
            cv2.arrowedLine(image, (96, 30), (34, 98), _WHITE, 14, cv2.LINE_AA, 0, 0.4)
        else:
            cv2.circle(image, middle, 46, _WHITE, -1, cv2.LINE_AA)
            text = ('20', '30', '', '', '', '7.5')[kind]
            size = 1.9 if len(text) < 3 else 1.2
            cv2.putText(
                image, text, (64 - int(20 * size), 82), cv2.FONT_HERSHEY_DUPLEX, size, _BLACK, 5, cv2.LINE_AA
            )
    elif kind in TRIANGLE:
        image[:] = _RED
        cv2.fillPoly(image, [np.array([(64, 36), (30, 96), (98, 96)])], _WHITE, cv2.LINE_AA)
        cv2.line(image, (64, 56), (64 + 8 * (kind - 7), 88), _BLACK, 8, cv2.LINE_AA)
    elif kind in SQUARE:
        image[:] = (_BLUE, (16, 96, 60), _WHITE, (206, 120, 24), (150, 20, 36))[kind - 9]
        ink = _BLACK if kind == 11 else _WHITE
        cv2.rectangle(image, (5, 5), (122, 122), ink, 4)
        if kind == 9:
            cv2.putText(image, 'P', (32, 100), cv2.FONT_HERSHEY_DUPLEX, 3.2, ink, 12, cv2.LINE_AA)
        else:
            for y in (34, 64, 94):
                cv2.line(image, (20, y), (int(rng.integers(70, 108)), y), ink, 9)
    elif kind == 15:
        image[:] = 26
    return image


def signs(rng: Generator) -> Image:
    """A texture with all sign plates, 512 by 512 pixels; see `sign_cell`."""
    rows = [
        np.concatenate([_plate(r * SIGN_CELLS + c, rng) for c in range(SIGN_CELLS)], 1)
        for r in range(SIGN_CELLS)
    ]
    return np.concatenate(rows)


def sign_cell(index: int) -> tuple[float, float, float, float]:
    """Texture rectangle of sign ``index``."""
    row, col = divmod(index, SIGN_CELLS)
    n = SIGN_CELLS
    return col / n + 0.002, 1 - (row + 1) / n + 0.002, (col + 1) / n - 0.002, 1 - row / n - 0.002


def _side(paint: NDArray[np.float32], outline: Sequence[tuple[float, float]], windows: int) -> Image:
    """The flank: ``outline`` holds the window area's corners in parts of length and height."""
    image = np.broadcast_to(paint, (192, 512, 3)) * np.linspace(1.0, 0.72, 192)[:, None, None]
    image[104:110] *= 1.1
    image[150:] *= 0.6
    out = to_image(image)
    area = np.array([(int((x + 0.5) * 512), int((1 - z) * 192)) for x, z in outline])
    centre = area.mean(0)
    inner = (centre + (area - centre) * np.array([0.93, 0.84])).astype(np.int32)
    glass = np.zeros((192, 512), np.uint8)
    cv2.fillPoly(glass, [inner], 255)
    shade = np.linspace(96, 22, 192)[:, None, None] * np.array([0.95, 1.0, 1.06])
    out = np.where(glass[..., None] > 0, to_image(np.broadcast_to(shade, out.shape)), out)
    left, right = int(area[:, 0].min()), int(area[:, 0].max())
    line = tuple(int(c * 0.45) for c in paint)
    for i in range(1, windows):
        x = left + (right - left) * i // windows
        cv2.line(
            out, (x, int(area[:, 1].min())), (x, int(area[:, 1].max())), tuple(int(c * 0.7) for c in paint), 9
        )
        cv2.line(out, (x, int(area[:, 1].min())), (x, 164), line, 2)
        cv2.rectangle(out, (x - 30, 112), (x - 14, 116), line, -1)
    for part in (0.2, 0.8):
        cv2.circle(out, (int(part * 512), 178), 46, (14, 14, 15), -1, cv2.LINE_AA)
    return out


def _end(paint: NDArray[np.float32], front: bool, belt: float, rng: Generator) -> Image:
    image = np.broadcast_to(paint, (192, 192, 3)) * np.linspace(1.05, 0.75, 192)[:, None, None]
    out = to_image(image)
    top = int((1 - belt) * 192)
    glass = np.array([(30, 12), (162, 12), (182, top - 6), (10, top - 6)])
    cv2.fillPoly(out, [glass], (38, 44, 50), cv2.LINE_AA)
    cv2.fillPoly(
        out, [np.array([(60, 14), (110, 14), (70, top - 8), (26, top - 8)])], (78, 88, 96), cv2.LINE_AA
    )
    lamp: Colour = (226, 230, 228) if front else (176, 20, 22)
    y = max(top + 14, 84) if front else top + 8
    for x0, x1 in ((6, 46), (146, 186)):
        cv2.rectangle(out, (x0, y), (x1, y + 24), (40, 40, 42), -1)
        cv2.rectangle(out, (x0 + 3, y + 3), (x1 - 3, y + 21), lamp, -1)
    if front:
        cv2.rectangle(out, (56, y + 4), (136, y + 22), (24, 24, 26), -1)
    cv2.rectangle(out, (0, 142), (192, 192), (34, 34, 36), -1)
    plate: Colour = (232, 232, 226) if front else (222, 186, 50)
    cv2.rectangle(out, (62, 128), (130, 143), plate, -1)
    text = ''.join(rng.choice(list('ABCDEFGHKLMNPRSTVWXY'), 5))
    cv2.putText(out, text, (66, 140), cv2.FONT_HERSHEY_PLAIN, 0.95, (30, 30, 30), 1, cv2.LINE_AA)
    return out


def vehicle(rng: Generator, colour: Colour, outline: Sequence[tuple[float, float]], windows: int) -> Image:
    """The texture of a car, van or bus, 512 by 512 pixels.

    Args:
        rng: Source of randomness.
        colour: Paint.
        outline: Corners of the window area on the flank, in parts of length (from -0.5 to 0.5) and height.
        windows: Number of side windows.
    """
    paint = np.array(colour, np.float32)
    belt = min(z for _, z in outline)
    out = np.full((512, 512, 3), 24, np.uint8)
    out[:192] = _side(paint, outline, windows)
    out[192:384, :192] = _end(paint, True, belt, rng)
    out[192:384, 192:384] = _end(paint, False, belt, rng)
    wheel = out[192:320, 384:]
    wheel[:] = 22
    cv2.circle(wheel, (64, 64), 40, (150, 152, 154), -1, cv2.LINE_AA)
    for turn in np.linspace(0, 2 * np.pi, 6)[:-1]:
        tip = (int(64 + 36 * np.cos(turn)), int(64 + 36 * np.sin(turn)))
        cv2.line(wheel, (64, 64), tip, (84, 86, 88), 9, cv2.LINE_AA)
    out[384:, :256] = to_image(paint * (1 + 0.03 * noise(rng, (128, 256), 60)[..., None]) * 1.05)
    return out
