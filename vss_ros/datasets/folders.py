"""Two folders, one of images and one of label PNGs: SegNet's CamVid and every data set that looks like it."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.datasets.listing import Film, Listing, contents, missing, refuse
from vss_ros.errors import VssError
from vss_ros.images.label_code import any_code
from vss_ros.recordings.source import files_in

if TYPE_CHECKING:
    from vss_ros.images.classes import ClassTable

FOLDERS = (('train', 'trainannot'), ('images', 'labels'), ('val', 'valannot'), ('test', 'testannot'))
"""Folders of images and of their labels, in the order in which they are looked for."""


def list_folders(root: Path, split: str, table: ClassTable) -> Listing:
    """List the stills of a pair of ``FOLDERS``; the labels hold ids (grey) or colours of the class table.

    The split is the image folder's name; where it is empty the first pair that is there is taken.

    Raises:
        VssError: No such folders, or images without labels.
    """
    found = _pairs(root, split)
    if not found:
        known = [f'{a}/ + {b}/' for a, b in FOLDERS if split in {'', a}] or [f'a split of {FOLDERS}']
        raise VssError(
            f'{root}: expected {" or ".join(known)}, found {contents(root)}; name the folder that holds them'
        )
    images, labels = found[0]
    files = files_in(images)
    wanted = [labels / f'{path.stem}.png' for path in files]
    refuse(root, missing(root, wanted), f'{labels.name}/ must hold one PNG per image in {images.name}/')
    return Listing(files, wanted, any_code(table))


def list_drives(root: Path, split: str, table: ClassTable) -> Listing:
    """List the same as consecutive frames; names are ``DRIVE_FRAME``, a drive's frames in order of names.

    Raises:
        VssError: As :func:`list_folders`.
    """
    found = list_folders(root, split, table)
    drives = [path.stem.rpartition('_')[0] for path in found.images]
    earlier = [number for _, frames in groupby(drives) for number, _ in enumerate(frames)]
    return replace(found, film=Film(found.images, list(range(len(drives))), earlier))


def list_lists(root: Path, split: str, table: ClassTable) -> Listing:
    """List what SegNet's ``train.txt``, ``val.txt`` or ``test.txt`` says: an image and its labels a line.

    The lists SegNet came with name files as ``/SegNet/CamVid/train/0001TP_006690.png``; what does not exist
    there is looked for as ``train/0001TP_006690.png`` beside the list.

    Raises:
        VssError: No list, other lines, or files that are missing, all in one message.
    """
    path = root / f'{split}.txt'
    if not path.is_file():
        have = sorted(p.stem for p in root.glob('*.txt'))
        raise VssError(f'{root}: expected a list {path.name}, got {have}; name one of them as split')
    lines = [line.split() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    faults = [f'line {n} has {len(words)} words' for n, words in enumerate(lines, 1) if len(words) != 2]
    refuse(path, faults, 'each line names an image and its label file')
    images, labels = ([_beside(root, Path(words[i])) for words in lines] for i in (0, 1))
    refuse(path, missing(root, images + labels), 'restore the files, or take them out of the list')
    return Listing(images, labels, any_code(table))


def has_folders(root: Path, split: str) -> bool:
    """Tell whether there is a pair of ``FOLDERS``."""
    return bool(_pairs(root, split))


def _pairs(root: Path, split: str) -> list[tuple[Path, Path]]:
    pairs = [(root / images, root / labels) for images, labels in FOLDERS if split in {'', images}]
    return [pair for pair in pairs if pair[0].is_dir() and pair[1].is_dir()]


def _beside(root: Path, path: Path) -> Path:
    return path if path.is_absolute() and path.is_file() else root.joinpath(*path.parts[-2:])
