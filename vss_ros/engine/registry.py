"""Registries of exchangeable parts: a decorator registers a class under the name that users type."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar('T')


@dataclass(frozen=True, slots=True)
class Member(Generic[T]):
    """One registered class with where it comes from."""

    name: str
    cls: type[T]
    paper: str
    summary: str


class Registry(Generic[T]):
    """Classes of one kind by name; ``kind`` is what error messages call them, e.g. 'backbone'."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, Member[T]] = {}

    def register(self, name: str, *, paper: str = '') -> Callable[[type[T]], type[T]]:
        """Make the decorated class known by a name that users type, and where it was published, if it was.

        Raises:
            VssError: The name is taken by another class.
        """

        def decorate(cls: type[T]) -> type[T]:
            if name in self._members:
                other = self._members[name].cls
                raise VssError(
                    f'the {self.kind} name {name!r} is taken by {other.__module__}.{other.__qualname__}; '
                    f'register {cls.__module__}.{cls.__qualname__} under another name'
                )
            summary = (cls.__doc__ or '').strip().split('\n', 1)[0]
            self._members[name] = Member(name, cls, paper, summary)
            return cls

        return decorate

    def get(self, name: str) -> type[T]:
        """Return the class registered as ``name``; the ``VssError`` for others lists those there are."""
        if name not in self._members:
            raise VssError(
                f'no {self.kind} is called {name!r}; expected one of: {", ".join(sorted(self._members))}'
            )
        return self._members[name].cls

    def __iter__(self) -> Iterator[Member[T]]:
        """Iterate over members in order of their names."""
        return iter(sorted(self._members.values(), key=lambda member: member.name))

    def __contains__(self, name: str) -> bool:
        """Return whether ``name`` is registered."""
        return name in self._members


def import_members(package: str, path: list[str]) -> None:
    """Import every module of a package, so that its classes register themselves: a new member is one file."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f'{package}.{module.name}')
