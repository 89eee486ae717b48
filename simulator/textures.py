"""Procedural textures of walls, roofs, foliage, fences and small parts; all are RGB, uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Colour = tuple[int, int, int]

PER_METRE = 32
"""Resolution of wall textures in pixels per metre."""

_WALLS: dict[str, tuple[Colour, ...]] = {
    'brick': ((128, 84, 66), (112, 78, 64), (168, 144, 110), (150, 128, 98), (96, 70, 60), (140, 104, 82)),
    'render': ((214, 208, 196), (196, 186, 166), (178, 172, 160), (222, 214, 190), (160, 152, 142)),
    'stone': ((150, 142, 126), (128, 122, 112), (170, 160, 140)),
    'concrete': ((132, 132, 130), (156, 154, 150), (112, 112, 114)),
}
_SHOP_COLOURS: tuple[Colour, ...] = (
    (24, 52, 92),
    (120, 22, 26),
    (20, 64, 44),
    (30, 30, 32),
    (196, 150, 40),
    (88, 40, 90),
    (210, 206, 196),
)
_SHOP_NAMES = (
    'BAKERY',
    'BOOKS',
    'CAFE',
    'FLOWERS',
    'OPTICIAN',
    'SHOES',
    'THE ANCHOR',
    'TAILOR',
    'CYCLES',
    'BANK',
)


def noise(rng: Generator, shape: tuple[int, int], cell: float, octaves: int = 4) -> NDArray[np.float32]:
    """Smooth noise of zero mean and roughly unit spread.

    Args:
        rng: Source of randomness.
        shape: Rows and columns.
        cell: Size of the coarsest blobs in pixels.
        octaves: Number of layers; each is twice as fine and a little weaker.
    """
    total = np.zeros(shape, np.float32)
    for k in range(octaves):
        rows, cols = (max(2, int(np.ceil(n * 2**k / cell)) + 1) for n in shape)
        grid = rng.standard_normal((rows, cols)).astype(np.float32)
        total += (
            np.asarray(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32) * 0.65**k
        )
    return total / max(float(total.std()), 1e-6)


def to_image(values: NDArray[np.floating]) -> Image:
    """Values from 0 to 255, clipped and turned into bytes."""
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def wall(rng: Generator, height: int, width: int, kind: str) -> Image:
    """A plain wall of ``kind`` brick, render, stone or concrete, size in pixels."""
    palette = _WALLS[kind]
    base = np.array(palette[rng.integers(len(palette))], np.float32) * rng.uniform(0.85, 1.1)
    image = np.broadcast_to(base, (height, width, 3)).copy()
    image += noise(rng, (height, width), 90)[..., None] * rng.uniform(3, 8)
    if kind in ('brick', 'stone'):
        row, brick = (3, 8) if kind == 'brick' else (10, 24)
        tint = rng.normal(0, 9, (height // row + 1, width // brick + 2)).astype(np.float32)
        y, x = np.mgrid[:height, :width]
        shifted = x + (y // row % 2) * (brick // 2)
        image += tint[y // row, shifted // brick][..., None]
        image[(y % row == 0) | (shifted % brick == 0)] *= 0.9 if kind == 'stone' else 1.06
    image *= np.linspace(1.03, 0.93, height, dtype=np.float32)[:, None, None]
    return to_image(image)


def _window(rng: Generator, image: Image, x0: int, y0: int, x1: int, y1: int, frame: Colour) -> None:
    height, width = y1 - y0, x1 - x0
    cv2.rectangle(
        image, (x0 - 3, y0 - 5), (x1 + 3, y0 - 1), tuple(int(c * 0.8) for c in image[y0 - 6, x0]), -1
    )
    cv2.rectangle(image, (x0, y0), (x1, y1), frame, -1)
    bright = rng.uniform(110, 210) if rng.random() < 0.3 else rng.uniform(25, 80)
    glass = np.linspace(bright, rng.uniform(12, 40), max(height - 4, 1))[:, None, None]
    tint = np.array([0.92, 1.0, 1.08])
    pane = np.broadcast_to(glass * tint, (max(height - 4, 1), max(width - 4, 1), 3)).copy()
    if rng.random() < 0.5:
        curtain = max(2, width // 6)
        pane[:, :curtain] = pane[:, -curtain:] = rng.uniform(90, 190)
    image[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = to_image(pane)[: y1 - y0 - 4, : x1 - x0 - 4]
    middle = ((x0 + x1) // 2, (y0 + y1) // 2)
    cv2.rectangle(image, (x0, middle[1] - 1), (x1, middle[1]), frame, -1)
    if width > 34:
        cv2.rectangle(image, (middle[0] - 1, y0), (middle[0], y1), frame, -1)
    image[y0 : y0 + 3, x0:x1] //= 2
    cv2.rectangle(image, (x0 - 3, y1), (x1 + 3, y1 + 3), (188, 184, 176), -1)
    image[y1 + 4 : y1 + 8, x0 - 3 : x1 + 3] = (image[y1 + 4 : y1 + 8, x0 - 3 : x1 + 3] * 0.75).astype(
        np.uint8
    )


def _shop(rng: Generator, image: Image, top: int) -> None:
    height, width = image.shape[:2]
    colour = _SHOP_COLOURS[rng.integers(len(_SHOP_COLOURS))]
    image[top:] = tuple(int(c * 0.55) for c in colour)
    band = 22
    image[top : top + band] = colour
    ink: Colour = (235, 230, 215) if sum(colour) < 400 else (40, 36, 40)
    name = _SHOP_NAMES[rng.integers(len(_SHOP_NAMES))]
    cv2.putText(image, name, (width // 3, top + 17), cv2.FONT_HERSHEY_DUPLEX, 0.55, ink, 1, cv2.LINE_AA)
    panes = max(2, width // 56)
    for i in range(panes):
        x0, x1 = 4 + i * width // panes, (i + 1) * width // panes - 4
        bottom = height - (4 if i == panes // 2 else 16)
        dark = noise(rng, (bottom - top - band - 4, x1 - x0), 24)[..., None] * 22 + rng.uniform(35, 75)
        goods = rng.normal(0, 12, (1, 1, 3)) + dark
        goods[: len(goods) // 4] += rng.uniform(0, 60)
        image[top + band + 4 : bottom, x0:x1] = to_image(goods)
    image[top + band : top + band + 4] //= 2


def facade(rng: Generator, bays: int, floors: int, shop: bool) -> tuple[Image, float, float]:
    """The front of a house.

    Args:
        rng: Source of randomness.
        bays: Number of windows side by side.
        floors: Number of storeys.
        shop: Whether the ground floor is a shop.

    Returns:
        The texture, the front's width and its height, both in metres.
    """
    storey, bay = int(rng.uniform(2.7, 3.3) * PER_METRE), int(rng.uniform(2.3, 3.1) * PER_METRE)
    height, width = floors * storey + 14, bays * bay
    kind = str(rng.choice(['brick', 'brick', 'brick', 'render', 'stone', 'concrete']))
    image = wall(rng, height, width, kind)
    frame: Colour = (228, 226, 220) if rng.random() < 0.7 else (52, 46, 42)
    win_w, win_h = int(bay * rng.uniform(0.38, 0.62)), int(storey * rng.uniform(0.46, 0.6))
    for floor in range(floors):
        top = height - (floor + 1) * storey
        if floor == 0 and shop:
            _shop(rng, image, top)
            continue
        for i in range(bays):
            x0, y0 = i * bay + (bay - win_w) // 2, top + (storey - win_h) // 2
            if floor == 0 and i == bays // 2:
                door = tuple(int(c) for c in rng.integers(20, 120, 3))
                cv2.rectangle(image, (x0 - 4, top + 26), (x0 + 34, height), frame, -1)
                cv2.rectangle(image, (x0, top + 32), (x0 + 30, height), door, -1)
                continue
            _window(rng, image, x0, y0, x0 + win_w, y0 + win_h, frame)
        if kind in ('stone', 'concrete', 'render'):
            image[top : top + 4] = (image[top : top + 4] * 0.82).astype(np.uint8)
    image[:8] = (image[:8] * 0.6).astype(np.uint8)
    image[8:12] = np.minimum(image[8:12].astype(int) + 30, 255).astype(np.uint8)
    return image, width / PER_METRE, height / PER_METRE


def roof(rng: Generator) -> Image:
    """Tiles or slates; one texture covers about 8 m by 8 m."""
    base = np.array([(92, 62, 52), (74, 72, 74), (86, 76, 70), (62, 62, 68)][rng.integers(4)], np.float32)
    image = np.broadcast_to(base, (192, 192, 3)) + noise(rng, (192, 192), 60)[..., None] * 6
    image = image + rng.normal(0, 6, (48, 48, 1)).repeat(4, 0).repeat(4, 1)
    image[::6] *= 0.72
    return to_image(image)


def foliage(rng: Generator) -> Image:
    """Leaves: dark gaps and bright tufts."""
    greens = ((66, 84, 38), (52, 70, 40), (88, 88, 44), (48, 58, 34), (98, 84, 48), (74, 92, 50))
    base = np.array(greens[rng.integers(len(greens))], np.float32) * rng.uniform(0.8, 1.2)
    tufts = noise(rng, (256, 256), 40, 5)[..., None]
    speckle = noise(rng, (256, 256), 5, 2)[..., None]
    return to_image(base * (1 + 0.26 * tufts + 0.34 * speckle) + rng.normal(0, 5, (256, 256, 3)))


def fence(rng: Generator, railing: bool) -> Image:
    """A panel 2 m wide and 1.2 m to 1.8 m high: timber boards, or iron bars before a dark hedge."""
    image = wall(rng, 96, 128, 'concrete').astype(np.float32)
    if railing:
        image = image * np.array([0.2, 0.25, 0.17]) + noise(rng, (96, 128), 12)[..., None] * 7
        bar = np.array([(24, 26, 28), (178, 182, 184), (60, 84, 60)][rng.integers(3)], np.float32)
        for x in range(4, 128, 10):
            image[:, x : x + 4] = bar * np.array([1.15, 1.0, 0.9, 0.7])[None, :, None]
        image[4:10] = image[84:90] = bar
        return to_image(image)
    wood = np.array(
        [(124, 92, 62), (96, 78, 62), (142, 116, 84), (112, 104, 94)][rng.integers(4)], np.float32
    )
    for x in range(0, 128, 16):
        image[:, x : x + 16] = wood * rng.uniform(0.82, 1.12) + noise(rng, (96, 16), 16)[..., None] * 5
        image[:, x : x + 2] *= 0.45
    image[:4] *= 0.7
    image[20:26] *= 0.85
    image[70:76] *= 0.85
    return to_image(image)


def palette(colours: list[Colour], rng: Generator) -> Image:
    """A row of flat colour cells, 16 pixels each, with a little grain; see `cell`."""
    strip = np.repeat(np.array(colours, np.float32), 16, 0)[None].repeat(32, 0)
    return to_image(
        strip * np.linspace(1.08, 0.88, 32)[:, None, None] + rng.normal(0, 5, (*strip.shape[:2], 1))
    )


def cell(index: int, count: int) -> tuple[float, float, float, float]:
    """Texture rectangle of colour ``index`` in a `palette` of ``count`` colours."""
    return (index + 0.2) / count, 0.05, (index + 0.8) / count, 0.95
