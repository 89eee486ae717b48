"""One piece of the network's work, compiled for the shapes that come."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.preprocess import normalise
from vss_ros.engine.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vss_ros.engine.preprocess import Normalisation
    from vss_ros.engine.runtimes.base import Cut, Graph, Runtime

MOST_FORMS = 2
"""Forms of arguments a size for which a piece keeps graphs: those go that were used longest ago."""
TRACING = threading.Lock()
"""PyTorch traces one function at a time."""


class Piece:
    """A function of tensors and views that a runtime compiles, for each shape of its arguments once.

    Where both tracks run it at once, each has a graph of its own, so that neither waits for the other. What
    cannot be compiled runs in PyTorch, with one warning and a line in ``runtime.faults``.

    Args:
        runtime: Who computes it.
        function: Its arguments are tensors, None and views, its answer a tensor, a motion field or a tuple of
            tensors. Of a view only pixels, F_l and motion are read.
        modules: Whose weights it uses.
        statistics: By which pixels become a view's image.
        cut: What part of the backbone it is, if it is one.
        image_strides: At which the views' small images are looked at.
    """

    def __init__(
        self,
        runtime: Runtime,
        function: Callable[..., Any],
        modules: Sequence[nn.Module],
        statistics: Normalisation,
        cut: Cut | None = None,
        image_strides: tuple[int, ...] = (),
    ) -> None:
        self._image_strides = image_strides
        self._runtime, self._function, self._modules = runtime, function, tuple(modules)
        self._statistics, self._cut = statistics, cut
        self._forms: dict[Any, _Form | None] = {}  # None: it runs in PyTorch
        self._lock = threading.Lock()
        self._failed = False

    def __call__(self, *arguments: Tensor | View | None) -> Any:
        """Return the function's answer."""
        if not self._runtime.compiles:
            return self._runtime.run(self._function, *arguments)
        inputs = [tensor for argument in arguments for tensor in self._tensors(argument)]
        key = (*map(_outline, arguments), *(tensor.shape for tensor in inputs))
        try:
            form = self._form(key, arguments, inputs)
            if form is not None:
                graph = form.take()
                outputs = graph(inputs)
                form.free.append(graph)
                return form.work.answer(outputs, inputs)
        except Exception as error:  # noqa: BLE001 (each runtime raises what it likes)
            self._keep(key, None)
            self._fall_back(error)
        return self._runtime.run(self._function, *arguments)

    def _form(
        self, key: Any, arguments: tuple[Tensor | View | None, ...], inputs: list[Tensor]
    ) -> _Form | None:
        """Return what serves a form of arguments; None leaves it to PyTorch."""
        with self._lock:
            if key in self._forms:
                form = self._forms[key] = self._forms.pop(key)  # the last is the one used last
                return form
        return self._keep(key, self._compile(arguments, inputs))  # meanwhile other streams go on

    def _keep(self, key: Any, form: _Form | None) -> _Form | None:
        with self._lock:
            self._forms[key] = form
            if len(self._forms) > MOST_FORMS * self._runtime.sizes:
                del self._forms[next(iter(self._forms))]
        return form

    def _compile(self, arguments: tuple[Tensor | View | None, ...], inputs: list[Tensor]) -> _Form:
        outlines = [_outline(argument) for argument in arguments]
        work = _Work(self._function, self._modules, outlines, self._statistics, self._image_strides)
        with TRACING, torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # shapes become constants, which is what is wanted
            examples = [torch.zeros_like(i, memory_format=torch.contiguous_format) for i in inputs]
            # What the answer is made of, a run tells; a part of the backbone answers one tensor.
            if self._cut is None and not work(*examples):  # it is made of inputs alone
                return _Form(work, lambda: lambda _: ())
            return _Form(work, self._runtime.compile(work, examples, self._cut))

    def _tensors(self, argument: Tensor | View | None) -> list[Tensor]:
        """Return an argument's tensors; holes, which are boolean, as bytes."""
        if not isinstance(argument, View):
            return [] if argument is None or not argument.numel() else [argument]
        tensors = [torch.from_numpy(argument.pixels).to(argument.device, non_blocking=True)]
        if argument.has_low:
            tensors.append(argument.low)
        tensors += [torch.from_numpy(argument.cells(s)).to(argument.device) for s in self._image_strides]
        for field in (argument.motion if argument.has_motion else None, argument.since_key):
            if field is not None:
                tensors += [field.flow] if field.holes is None else [field.flow, field.holes.to(torch.uint8)]
        return tensors

    def _fall_back(self, error: Exception) -> None:
        if self._failed:  # said once, of whichever form came first
            return
        self._failed = True
        name = getattr(self._function, '__qualname__', repr(self._function))
        text = str(error).strip().splitlines()
        fault = (
            f'{self._runtime.description} cannot compute {name} ({type(error).__name__}: '
            f'{text[0][:200] if text else ""}); it runs in PyTorch instead, more slowly'
        )
        self._runtime.faults.append(fault)
        warnings.warn(fault, RuntimeWarning, stacklevel=3)


class _Form:
    """What serves one form of arguments: the work, how to make a graph of it, and graphs that are free."""

    def __init__(self, work: _Work, make: Callable[[], Graph]) -> None:
        self.work, self.make = work, make
        self.free: list[Graph] = []

    def take(self) -> Graph:
        """Return a graph that nobody runs, the first one: what warmed up in a thread serves in another."""
        try:
            return self.free.pop()
        except IndexError:
            return self.make()


class _Field(NamedTuple):
    """What a motion field has beside its tensors."""

    stride: int
    holes: bool


class _Outline(NamedTuple):
    """What a view has: F_l, motion, motion since the key frame."""

    low: bool
    motion: _Field | None
    since_key: _Field | None


class _Work(nn.Module):
    """The piece as a module that maps tensors to tensors, which is what compilers take."""

    def __init__(
        self,
        function: Callable[..., Any],
        modules: tuple[nn.Module, ...],
        outlines: Sequence[_Outline | str],
        statistics: Normalisation,
        image_strides: tuple[int, ...],
    ) -> None:
        super().__init__()
        self._image_strides = image_strides
        self.modules_used = nn.ModuleList(modules)
        self._function, self._outlines, self._statistics = function, tuple(outlines), statistics
        self._stride = 0  # of the motion field it answers, 0: it answers none
        self._single = True
        self._handed_on: list[int | None] = [
            None
        ]  # of each output the input that it is, None: it is computed
        self.eval()  # compilers set the parts back to this mode when they have done

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the function on tensors in the order of ``_tensors``."""
        given = iter(tensors)
        answer = self._function(*(self._argument(outline, given) for outline in self._outlines))
        if isinstance(answer, MotionField):
            self._stride = answer.stride
            answer = answer.flow if answer.holes is None else (answer.flow, answer.holes)
        self._single = isinstance(answer, Tensor)
        outputs = [answer] if self._single else list(answer)
        # Compilers do not agree on what becomes of an output that is an input: those stay out of the graph.
        places = {id(tensor): number for number, tensor in enumerate(tensors)}
        self._handed_on = [places.get(id(output)) for output in outputs]
        return tuple(output for output in outputs if id(output) not in places)

    def answer(self, outputs: tuple[Tensor, ...], inputs: Sequence[Tensor]) -> Any:
        """Return what the function would, of its tensors."""
        computed = iter(outputs)
        answers = [next(computed) if place is None else inputs[place] for place in self._handed_on]
        if self._stride:
            return MotionField(answers[0], self._stride, None if self._single else answers[1] > 0)
        return answers[0] if self._single else tuple(answers)

    def _argument(self, outline: _Outline | str, given: Iterator[Tensor]) -> Tensor | View | None:
        if outline == 'empty':
            return torch.empty(0)
        if isinstance(outline, str):
            return next(given) if outline == 'tensor' else None
        pixels, low = next(given), next(given) if outline.low else None
        cells = {stride: next(given) for stride in self._image_strides}
        image = _TracedImage(pixels, cells, self._statistics)
        fields = [_field(form, given) for form in (outline.motion, outline.since_key)]
        return View(None, image, low, fields[0], since_key=fields[1])  # type: ignore[arg-type]


class _TracedImage:
    """Normalised image of pixels, as part of the graph."""

    def __init__(self, pixels: Tensor, cells: dict[int, Tensor], statistics: Normalisation) -> None:
        self._pixels, self._cells, self._statistics = pixels, cells, statistics
        self.device = pixels.device

    def image(self) -> Tensor:
        return normalise(self._pixels, self._statistics)

    def small(self, stride: int) -> Tensor:
        return normalise(self._cells[stride], self._statistics)


def _field(form: _Field | None, given: Iterator[Tensor]) -> MotionField | None:
    if form is None:
        return None
    return MotionField(next(given), form.stride, next(given) > 0 if form.holes else None)


def _outline(argument: Tensor | View | None) -> _Outline | str:
    if argument is None:
        return 'none'
    if isinstance(argument, Tensor):
        return 'tensor' if argument.numel() else 'empty'
    fields = (argument.motion if argument.has_motion else None, argument.since_key)
    forms = [None if field is None else _Field(field.stride, field.holes is not None) for field in fields]
    return _Outline(argument.has_low, *forms)
