"""What labelling tools export, as one plain folder of images and id PNGs: masks in many forms, or COCO."""

from __future__ import annotations

import csv
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import yaml

from vss_ros.datasets.listing import contents, image_size, refuse
from vss_ros.errors import VssError
from vss_ros.files import write_png, write_text
from vss_ros.images.classes import ClassTable, load_classes
from vss_ros.images.image_decoding import decode_compressed
from vss_ros.images.image_files import natural, read_file
from vss_ros.recordings.source import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

PRELABELS = 'prelabels'
"""Folder of what `vss pick` answered itself, which is no truth."""
LABEL_FOLDERS = ('labels', 'masks', 'SegmentationClass', 'annotations', 'gtFine')
ENDINGS = ('_mask', '_label', '_labels', '_L', '_labelIds')
NO_TRUTH = {PRELABELS, 'SegmentationObject'}
VOID = 255


@dataclass(frozen=True)
class Exported:
    """Labelled images of a folder."""

    table: ClassTable
    images: Sequence[Path]
    labels: Sequence[Any]
    """Of each image: its label file, or COCO's annotations of it."""
    colours: dict[int, int]
    """Ids by the colours, as ``R << 16 | G << 8 | B``, that label files have; void is 255."""

    def ids(self) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
        """Yield each image with its ids ``(H, W)``, void 255.

        Raises:
            VssError: A label file has other values than the classes, or another size than its image.
        """
        binary = len(self.table) == 2 and self._is_binary()
        for image, label in zip(self.images, self.labels, strict=True):
            size = image_size(image)
            ids = _drawn(label, size) if isinstance(label, list) else self._read(label, binary=binary)
            if ids.shape != size:
                raise VssError(f'{label}: expected the size of {image.name}, {size}, got {ids.shape}')
            yield image, ids

    def _is_binary(self) -> bool:
        values: set[int] = set()
        for label in self.labels:
            pixels = None if isinstance(label, list) else cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
            values |= {1} if pixels is None or pixels.ndim > 2 else {*np.unique(pixels).tolist()}
        return values <= {0, VOID}

    def _read(self, path: Path, *, binary: bool) -> NDArray[np.uint8]:
        """Return a label file's ids, void as 255."""
        pixels, table = cv2.imread(str(path), cv2.IMREAD_UNCHANGED), self.table
        if pixels is None:
            raise VssError(f'{path}: expected a PNG, got what cannot be read; export it again')
        if pixels.ndim == 2:
            ids = np.minimum(pixels, 1) if binary else np.where(pixels == table.void_id, VOID, pixels)
        else:
            data = read_file(path)
            rgb = decode_compressed(data, 'png').astype(np.int32)
            packed, places = np.unique(
                rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], return_inverse=True
            )
            known = self.colours
            if not {*packed.tolist()} <= known.keys():  # a palette of other colours: its indices count
                known = {colour: number for number, colour in enumerate(_palette(data))} or known
            ids = np.array([known.get(colour, -1) for colour in packed.tolist()])[
                places.reshape(rgb.shape[:2])
            ]
        wrong = (ids != VOID) & ((ids < 0) | (ids >= len(table)))
        if wrong.any():
            y, x = np.argwhere(wrong)[0].tolist()
            raise VssError(
                f'{path}: pixel (x={x}, y={y}) has {pixels[y, x].tolist()}, which is none of {len(table)} '
                f'classes ({", ".join(table.names)}); name the right ones by --classes'
            )
        return np.asarray(ids, np.uint8)


def find_exported(folder: Path, classes: str = '', usual: ClassTable | None = None) -> Exported:
    """Find images and labels below a folder, and what the labels mean.

    Masks lie in a folder of ``LABEL_FOLDERS`` or end in one of ``ENDINGS``. They hold ids (grey, or indices
    of a palette), colours of the classes, or 0 and 255; without masks a JSON file is COCO's. Classes are
    ``classes`` (a table's name or file) or what lies there: CVAT's ``labelmap.txt``, COCO's categories,
    ``classes.yaml``, ``classes.csv``. Named like those of ``classes.yaml`` or ``usual``, they have its order.

    Raises:
        VssError: No labelled images, or nothing says what the classes are.
    """
    found = sorted(folder.rglob('*'), key=natural)
    files = [p for p in found if p.is_file() and not {*p.relative_to(folder).parts} & NO_TRUTH]
    pictures = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
    masks = {_stem(p): p for p in pictures if _is_label(p)}
    images = [p for p in pictures if not _is_label(p)]
    coco = None if masks else next((content for p in files if (content := _coco(p))), None)
    fault = (
        f'{folder}: expected images with masks ({", ".join(LABEL_FOLDERS)}, or NAME_mask.png) or a COCO '
        f'file, got {len(images)} images and {len(masks)} masks: {contents(folder)}; put both into it'
    )
    if not images or not (masks or coco):
        raise VssError(fault)
    table, colours = _meaning(folder, {p.name: p for p in files}, coco, classes, usual)
    labels: dict[str, Any] = dict(masks) if coco is None else _by_image(coco, table)
    labelled = [image for image in images if image.stem in labels]
    if not labelled:
        raise VssError(fault)
    return Exported(table, labelled, [labels[image.stem] for image in labelled], colours)


def _meaning(
    folder: Path, files: dict[str, Path], coco: dict[str, Any] | None, classes: str, usual: ClassTable | None
) -> tuple[ClassTable, dict[int, int]]:
    """Return the classes and the ids of label files' colours."""
    own = classes or files.get('classes.yaml')
    stated = load_classes(own) if own else None
    known = [table for table in (stated, usual) if table is not None]

    def ordered(names: Sequence[str]) -> ClassTable:
        return next((table for table in known if {*names} <= {*table.names}), None) or table_of(names)

    listed = next((path for name, path in files.items() if name.endswith('classes.csv')), None)
    if not classes and (path := files.get('labelmap.txt')):
        drawn = _labelmap(path)
        table = ordered([name for name in drawn if name])
        return table, {colour: table.names.index(name) if name else VOID for name, colour in drawn.items()}
    if not classes and coco is not None:
        return ordered([category['name'] for category in _categories(coco)]), {}
    if stated is not None:
        void = {_packed(colour): VOID for colour in stated.void_colours.tolist()}
        return stated, void | {_packed(colour): n for n, colour in enumerate(stated.colours.tolist())}
    if listed is not None:
        rows = list(csv.reader(read_file(listed).decode().splitlines()[1:]))
        names = tuple(row[1].strip() for row in sorted(rows, key=lambda row: int(row[0])))
        return usual if usual is not None and usual.names == names else table_of(names), {}
    raise VssError(
        f'{folder}: expected classes.yaml, labelmap.txt, classes.csv or COCO categories, got nothing that '
        'says what the classes are; state --classes TABLE'
    )


def write_plain(found: Exported, folder: Path, held_out: int) -> tuple[int, int]:
    """Write ``train/`` + ``trainannot/`` and ``val/`` + ``valannot/`` with ids; every so many-th is val.

    Returns the numbers of images in both.

    Raises:
        VssError: Labels are not as they should be.
    """
    counts = [0, 0]
    for number, (image, ids) in enumerate(found.ids()):
        kept = held_out > 0 and number % held_out == held_out // 2
        split = 'val' if kept else 'train'
        counts[kept] += 1
        target = folder / split / image.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read_file(image))
        (folder / f'{split}annot').mkdir(exist_ok=True)
        write_png(folder / f'{split}annot' / f'{image.stem}.png', ids)
    return counts[0], counts[1]


def write_table(table: ClassTable, path: Path) -> None:
    """Write a class table as those in config/classes; ids of files are those of the table, 255 is void."""
    classes = [
        {'name': name, 'colour': colour}
        for name, colour in zip(table.names, table.colours.tolist(), strict=True)
    ]
    values = {'name': table.name, 'void_id': VOID, 'classes': classes}
    write_text(path, yaml.safe_dump(values, sort_keys=False, default_flow_style=None))


def _is_label(path: Path) -> bool:
    if path.suffix.lower() != '.png':
        return False
    folder = path.parent.name
    return folder in LABEL_FOLDERS or folder.endswith('annot') or path.stem != _stem(path)


def _stem(path: Path) -> str:
    return next((path.stem.removesuffix(end) for end in ENDINGS if path.stem.endswith(end)), path.stem)


def _packed(colour: Sequence[int]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _palette(data: bytes) -> list[int]:
    """Return an indexed PNG's palette, empty for another, or where two entries are alike."""
    start = data.find(b'PLTE')
    if start < 0 or data[25] != 3:
        return []
    size = int.from_bytes(data[start - 4 : start], 'big')
    entries = [_packed(data[i : i + 3]) for i in range(start + 4, start + 4 + size, 3)]
    return entries if len({*entries}) == len(entries) else []


def _labelmap(path: Path) -> dict[str, int]:
    """Return CVAT's colours by class (``name:r,g,b:parts:actions``); '' is the black of what has no label."""
    lines = [line.split(':') for line in read_file(path).decode().splitlines() if line and line[0] != '#']
    drawn = {words[0]: _packed([int(value) for value in words[1].split(',')]) for words in lines}
    return {name if colour or name != 'background' else '': colour for name, colour in drawn.items()}


def table_of(names: Sequence[str], name: str = 'own') -> ClassTable:
    """Return a table of these names, in colours that differ."""
    hues = [[int(zlib.crc32(f'{n}{i}{c}'.encode()) % 200) + 40 for c in 'rgb'] for i, n in enumerate(names)]
    return ClassTable(name, tuple(names), np.array(hues, np.uint8), VOID)


def _coco(path: Path) -> dict[str, Any] | None:
    """Return a JSON file's contents where it is COCO's."""
    if path.suffix != '.json':
        return None
    found = json.loads(read_file(path))
    return (
        found if isinstance(found, dict) and {'images', 'annotations', 'categories'} <= found.keys() else None
    )


def _categories(coco: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(coco['categories'], key=lambda category: category['id'])


def _by_image(coco: dict[str, Any], table: ClassTable) -> dict[str, Any]:
    """Return COCO's annotations by the stems of their images, as ids and outlines, the largest first."""
    number = {category['id']: category['name'] for category in coco['categories']}
    refuse(
        Path('COCO'), [n for n in number.values() if n not in table.names], 'name the classes by --classes'
    )
    names = {image['id']: Path(image['file_name']).stem for image in coco['images']}
    found: dict[str, Any] = {name: [] for name in names.values()}
    for entry in sorted(coco['annotations'], key=lambda entry: -entry.get('area', 0)):
        label = table.names.index(number[entry['category_id']])
        found[names[entry['image_id']]].append((label, entry['segmentation']))
    return found


def _drawn(annotations: list[tuple[int, Any]], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ids: what is drawn later, the smaller, lies on top; void where nothing is."""
    ids = np.full(size, VOID, np.uint8)
    for label, outline in annotations:
        if isinstance(outline, dict):
            ids[_run_lengths(outline)] = label
        else:
            polygons = [np.array(one, np.float64).reshape(-1, 2).round().astype(np.int32) for one in outline]
            cv2.fillPoly(ids, polygons, (label,))
    return ids


def _run_lengths(outline: dict[str, Any]) -> NDArray[np.bool_]:
    """Return COCO's run lengths, plain or as text, as a mask."""
    counts: Any = outline['counts']
    if isinstance(counts, str):
        counts = _decoded(counts)
    height, width = outline['size']
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def _decoded(text: str) -> list[int]:
    """Return the numbers of COCO's text: five bits a letter, from the third on differences to two before."""
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode():
        part = letter - 48
        value |= (part & 31) << shift
        shift += 5
        if not part & 32:
            if part & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts
