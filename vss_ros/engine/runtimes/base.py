"""What every runtime offers: a piece of the network's work, compiled into one graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from vss_ros.engine.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.network_files import Network

Graph = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]
"""From a piece's inputs to its outputs; what it returns is the caller's own."""
Cut = tuple[str, str]
"""Where a piece of the backbone begins (pixels, low or high) and ends (low, high or logits)."""


class Runtime(ABC):
    """Runs the pieces of work of one segmenter, on one device at one precision.

    Args:
        device: Where it runs.
        precision: One of ``precisions``.
        threads: CPU threads of each track.
    """

    name: ClassVar[str]
    """As users type it."""
    precisions: ClassVar[tuple[str, ...]] = ('f32',)
    compiles: bool = True
    """False where pieces run as they are written, layer by layer."""

    def __init__(self, device: torch.device, precision: str, threads: int) -> None:
        self.device, self.precision, self.threads = device, precision, threads
        self.sizes = 2
        """For how many sizes of images graphs are kept."""
        self.faults: list[str] = []
        """What could not be compiled and runs in PyTorch instead; one sentence each."""
        self.reason = 'as asked for'
        """Why it was taken."""

    @classmethod
    def candidates(cls, card: ModelCard, device: torch.device) -> list[str]:  # noqa: ARG003
        """Return the precisions among which the fastest is looked for, the most exact first."""
        return ['f32']

    def open(self, card: ModelCard) -> None:  # noqa: B027 (most need nothing)
        """Take what the runtime needs of a backbone's card before pieces are compiled.

        Raises:
            VssError: It is not there, or the processor has no such precision.
        """

    def network(self, data: bytes) -> Network | None:  # noqa: ARG002
        """Return a user's network of the bytes of an ``.onnx``; None leaves it to ONNX Runtime.

        Raises:
            Exception: It cannot be read here: ONNX Runtime may take it, or say why not.
        """
        return None

    @abstractmethod
    def compile(
        self, work: nn.Module, inputs: Sequence[Tensor], cut: Cut | None = None
    ) -> Callable[[], Graph]:
        """Return what makes graphs for inputs of these shapes and dtypes; one is run by one thread at a time.

        Args:
            work: Maps tensors to a tuple of tensors; its Python runs once, here.
            inputs: Examples.
            cut: What part of the backbone it is, where it is one: some runtimes have that ready-made.

        Raises:
            Exception: The runtime cannot compile it, for a reason of its own.
        """

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a piece as it is written, in PyTorch."""
        return function(*arguments)

    @property
    def description(self) -> str:
        """Name and precision, for logs and reports."""
        return f'{self.name} {self.precision}'


RUNTIMES: Registry[Runtime] = Registry('runtime')
