"""Model cards: a YAML file that says what its weights file is, and a hash that proves it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, runtime_checkable

import torch
import yaml
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from vss_ros.engine.confidence import Calibration
from vss_ros.engine.device import CPU
from vss_ros.errors import VssError
from vss_ros.files import read_regular, write_text, write_whole
from vss_ros.resources import resource
from vss_ros.schema import FROM_LIST, FileName, Schema, read_yaml

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal['backbone', 'propagation', 'scheduler', 'motion']
LARGEST_INPUT = 2**26
"""Pixels."""
Side = Annotated[int, Field(ge=0, le=16384)]


class ModelCard(Schema):
    """What a weights file holds. A propagation or scheduler belongs to the backbone card it names."""

    name: FileName
    """File stem of card and weights: ``MODEL`` or, for the parts that go with it, ``MODEL.MEMBER``;
    ``MODEL.MEMBER@LAYER`` where they were trained at another than the backbone's own interior layer."""
    kind: Kind
    builder: str
    """Registered name of the class that holds the weights."""
    sha256: str
    """Of the weights file."""
    parameters: int
    """Number of weights, 0 where a user's own network does not say."""
    base: str = ''
    """Backbone card these weights were trained on, empty for a backbone."""
    file: str = ''
    """A user's own ``.onnx`` or ``.pt2`` beside the card; empty for ``NAME.safetensors``."""
    base_sha256: str = ''
    input_size: Annotated[tuple[Side, Side], FROM_LIST] = (0, 0)
    """Height and width trained for, pixels."""
    mean: Annotated[tuple[float, ...], FROM_LIST] = ()
    """Per-channel mean of RGB in 0..1."""
    std: Annotated[tuple[float, ...], FROM_LIST] = ()
    channel_order: str = ''
    """``bgr`` where a user's own network takes its channels so; mean and std are of RGB all the same."""
    output: str = ''
    """Which output of a user's own network counts, where it has several; empty: the likeliest."""
    classes: str = ''
    """Class table in config/classes, or a ``.yml`` file beside the card."""
    class_names: Annotated[tuple[str, ...], FROM_LIST] = ()
    settings: dict[str, float] = Field(default_factory=dict)
    """What the class cannot know before it is trained: a scheduler's recommended ``threshold``."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """How it was trained: command, data, seed, epochs, hardware, wall time, versions."""
    scores: dict[str, Any] = Field(default_factory=dict)
    """What was measured, by which command."""
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    """Of a backbone: what makes its confidence true, by the propagation that carries its answers along."""
    int8: dict[str, Any] = Field(default_factory=dict)
    """Of the int8 weights beside these, where there are any: ``sha256`` of both files in one, how they were
    made and what they score. What scores and hash above say is of the ordinary weights."""
    path: str = ''
    """Where the card was read; not part of the file."""

    def expect(self, kind: str) -> None:
        """Refuse, with a ``VssError``, a card of another kind."""
        if self.kind != kind:
            raise VssError(
                f'card {self.name}: expected a {kind}, got a {self.kind}; name the card of a {kind}'
            )

    def expect_images(self) -> None:
        """Refuse, with a ``VssError``, a backbone's card that does not say what images it takes."""
        height, width = self.input_size
        unstated = self.file and not (height or width)
        if not (0 < height * width <= LARGEST_INPUT or unstated):
            raise VssError(
                f'card {self.name}: expected input_size of an image, got {height}x{width}; correct it'
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise VssError(
                f'card {self.name}: expected mean and std of three numbers, std positive, got '
                f'{list(self.mean)} and {list(self.std)}; correct them'
            )

    def expect_base(self, base: ModelCard) -> None:
        """Refuse, with a ``VssError``, a part that was trained on other weights than a backbone card's."""
        if self.base_sha256 != base.sha256:
            raise VssError(
                f'card {self.name} was trained on weights {self.base_sha256[:12]}… of {self.base}, '
                f'but {base.name} holds {base.sha256[:12]}…; train it again or restore both from one release'
            )


def read_card(name_or_path: str | Path) -> ModelCard:
    """Read a card by its name in ``models/`` or by its path.

    Raises:
        VssError: No such card (the message lists those there are), or not a card (all faults, with lines).
    """
    document = read_yaml(_locate(str(name_or_path)), 'model card')
    values = document.values
    if not isinstance(values, dict):
        return document.checked(ModelCard)
    faults = [(('path',), 'expected no such key: a card knows its place')] if 'path' in values else []
    if str(values.get('classes', '')).endswith('.yml'):
        values['classes'] = str(document.path.parent / values['classes'])
    return document.checked(ModelCard, faults).model_copy(update={'path': str(document.path)})


def has_card(name: str) -> bool:
    """Tell whether ``models/`` or the given folder holds this card."""
    try:
        _locate(name)
    except VssError:
        return False
    return True


def shipped_cards() -> list[ModelCard]:
    """Return the cards in ``models/`` in order of their names."""
    return [read_card(path) for path in sorted(resource('models').glob('*.yaml'))]


@runtime_checkable
class FromFile(Protocol):
    """A module that runs a whole network from a file instead of taking tensors from it."""

    def load_file(self, data: bytes, card: ModelCard, device: torch.device, runtime: Any = None) -> None:
        """Open the network in the card's file, whose bytes are ``data``, for a device and a runtime."""


def read_weights(card: ModelCard) -> bytes:
    """Return the bytes of a card's weights file.

    Raises:
        VssError: The file is missing, or is not what the card describes.
    """
    path = weights_path(card)
    try:
        data = read_regular(path)
    except OSError as error:
        raise VssError(
            f'{path}: the weights of card {card.name} cannot be read ({error.strerror}); restore the file'
        ) from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != card.sha256:
        raise VssError(
            f'{path}: expected sha256 {card.sha256}, got {actual}; '
            'the file is damaged or belongs to another card: restore both from one release'
        )
    return data


def load_weights(card: ModelCard, module: nn.Module, device: torch.device = CPU, runtime: Any = None) -> None:
    """Load a card's weights into ``module``; nothing is unpickled but a user's own ``.pt2``.

    The module stays where it is; one that is ``FromFile`` opens its network on the device, in the runtime.

    Raises:
        VssError: The file is missing, is not what the card describes, does not fit, or is not finite.
    """
    data = read_weights(card)
    if isinstance(module, FromFile):
        module.load_file(data, card, device, runtime)
        return
    path = weights_path(card)
    try:
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise VssError(f'{path}: not a safetensors file: {error}') from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise VssError(f'{path}: tensor {name} holds NaN or infinity; train again or restore the file')
    try:
        module.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except RuntimeError as error:
        raise VssError(
            f'{path}: the weights do not fit {type(module).__name__} of card {card.name}: {error}'
        ) from error


def save_card(card: ModelCard, module: nn.Module, folder: Path) -> ModelCard:
    """Write weights and card; each file is whole or not there.

    Matrices and kernels that half precision holds exactly (training rounds them where that costs no score)
    are stored so, everything else as it is.

    Returns:
        The card with hash and number of parameters filled in.
    """
    weights = folder / f'{card.name}.safetensors'
    data = save_tensors({name: _stored(tensor) for name, tensor in module.state_dict().items()})
    write_whole(weights, data)
    digest = hashlib.sha256(data).hexdigest()
    parameters = sum(p.numel() for p in module.parameters())
    finished = card.model_copy(update={'sha256': digest, 'parameters': parameters, 'path': ''})
    write_card(finished, folder)
    return finished


def write_card(card: ModelCard, folder: Path) -> None:
    """Write the YAML file alone, e.g. when a score was measured."""
    values = card.model_dump(exclude_defaults=True, exclude={'path'})
    if card.classes.endswith('.yml'):
        values['classes'] = Path(card.classes).name
    write_text(folder / f'{card.name}.yaml', yaml.safe_dump(values, sort_keys=False, width=110))


def _stored(tensor: Tensor) -> Tensor:
    half = tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
    return (half if torch.equal(half.to(tensor.dtype), tensor) else tensor).cpu().contiguous().clone()


def _locate(name: str) -> Path:
    # A bare name never means a file of the working directory, which on a robot is anybody's.
    if '/' in name or name.endswith('.yaml'):
        path = Path(f'{name.removesuffix(".yaml")}.yaml')
        if not path.is_file():
            raise VssError(f'no model card at {path}; give the path of a .yaml beside its .safetensors')
        return path
    try:
        folder = resource('models')
    except FileNotFoundError as error:
        raise VssError(str(error)) from error
    path = folder / f'{name}.yaml'
    if not path.is_file():
        there = ', '.join(sorted(p.stem for p in folder.glob('*.yaml')))
        raise VssError(f'no model card {name!r}: expected the path of a card or one of: {there or "(none)"}')
    return path


def weights_path(card: ModelCard) -> Path:
    """Return the path of a card's weights file.

    Raises:
        VssError: The card names a file that is not beside it.
    """
    if card.file != Path(card.file).name:
        raise VssError(
            f'card {card.name}: expected the name of a file beside the card, got {card.file!r}; put it there'
        )
    if card.path:
        path = Path(card.path)
        return path.with_name(card.file) if card.file else path.with_suffix('.safetensors')
    return resource('models') / (card.file or f'{card.name}.safetensors')
