"""Cityscapes: labelled stills, and the snippets of 30 frames they were taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vss_ros.datasets.listing import Film, Listing, check_split, contents, missing, refuse
from vss_ros.errors import VssError
from vss_ros.images.label_code import id_code

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.images.classes import ClassTable

IMAGES, SEQUENCES, LABELS = 'leftImg8bit', 'leftImg8bit_sequence', 'gtFine'
IMAGE, LABEL_IDS, TRAIN_IDS = '_leftImg8bit.png', '_gtFine_labelIds.png', '_gtFine_labelTrainIds.png'
TABLES = {LABEL_IDS: 'cityscapes34', TRAIN_IDS: 'cityscapes19'}
"""The tables whose ids label files hold, by the endings of their names."""
EARLIER = 19
"""Frames of a snippet before the labelled one, which is its 20th of 30 (Cordts et al. 2016)."""


class _Frame(NamedTuple):
    """A file's place in the data set: ``city/city_seq_frame``."""

    city: str
    sequence: str
    number: str

    @property
    def stem(self) -> str:
        return f'{self.city}/{self.city}_{self.sequence}_{self.number}'

    def before(self, count: int) -> _Frame:
        return self._replace(number=f'{int(self.number) - count:0{len(self.number)}d}')


def list_cityscapes(root: Path, split: str, table: ClassTable) -> Listing:
    """List the labelled stills of ``leftImg8bit`` and ``gtFine``.

    Of ``test`` the labels are not public; the classes are ``cityscapes19``, or merged from ``cityscapes34``.

    Raises:
        VssError: Another split or table, or files that are missing, all in one message.
    """
    found, labels, suffix = _labelled(root, split)
    images = [root / IMAGES / split / f'{frame.stem}{IMAGE}' for frame in found]
    unlabelled = set(_frames(root / IMAGES / split, IMAGE)).difference(found)
    wanted = [root / LABELS / split / f'{frame.stem}{suffix}' for frame in sorted(unlabelled)]
    refuse(root, missing(root, images + wanted), 'every image needs its labels, every label file its image')
    return Listing(images, labels, id_code(table, TABLES[suffix]))


def list_cityscapes_sequence(root: Path, split: str, table: ClassTable) -> Listing:
    """List the labelled frames with the 19 before each, of ``leftImg8bit_sequence`` and ``gtFine``.

    Errors are those of :func:`list_cityscapes`. The ten frames after the labelled one are not
    looked at.
    """
    found, labels, suffix = _labelled(root, split)
    snippets = [frame.before(count) for frame in found for count in range(EARLIER, -1, -1)]
    frames = [root / SEQUENCES / split / f'{frame.stem}{IMAGE}' for frame in snippets]
    refuse(root, missing(root, frames), f'every label file needs its frame and the {EARLIER} before it')
    places = [EARLIER + (EARLIER + 1) * number for number in range(len(found))]
    film = Film(frames, places, [EARLIER] * len(found))
    return Listing([frames[place] for place in places], labels, id_code(table, TABLES[suffix]), film)


def _labelled(root: Path, split: str) -> tuple[list[_Frame], list[Path], str]:
    check_split(root, split, 'Cityscapes')
    folder = root / LABELS / split
    for suffix in TABLES:
        if found := _frames(folder, suffix):
            return found, [folder / f'{frame.stem}{suffix}' for frame in found], suffix
    raise VssError(
        f'{root}: expected {LABELS}/{split}/CITY/*{LABEL_IDS} (or *{TRAIN_IDS}), got none in '
        f'{contents(root)}; unpack gtFine_trainvaltest.zip there'
    )


def _frames(folder: Path, suffix: str) -> list[_Frame]:
    """List the frames whose files end so, by name."""
    frames, faults = [], []
    for path in sorted(folder.glob(f'*/*{suffix}')):
        parts = path.name.removesuffix(suffix).split('_')
        if len(parts) == 3 and parts[0] == path.parent.name and parts[1].isdecimal() and parts[2].isdecimal():
            frames.append(_Frame(*parts))
        else:
            faults.append(f'{path.parent.name}/{path.name}')
    refuse(folder, faults, f'expected files called CITY/CITY_SEQUENCE_FRAME{suffix}; rename or remove them')
    return frames
