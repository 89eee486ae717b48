"""The house keeps its order: imports run downwards and in no circle, files and folders stay small."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED: dict[str, set[str]] = {
    'engine': set(),
    'images': {'engine'},
    'node': {'engine', 'images'},
    'recordings': {'engine', 'images'},
    'datasets': {'engine', 'images', 'recordings'},
    'evaluation': {'engine', 'images', 'recordings', 'datasets'},
    'training': {'engine', 'images', 'recordings', 'datasets', 'evaluation'},
    'live': {'engine', 'images', 'recordings', 'datasets', 'evaluation', 'node'},
    'cli': {'engine', 'images', 'recordings', 'datasets', 'evaluation', 'training', 'live'},
}
"""Folder → folders it may import. Modules right in ``vss_ros/`` import no folder; all may import them."""
MOST_LINES, MOST_FILES = 350, 25


@pytest.fixture(scope='module')
def graph(project_root: Path) -> dict[str, set[str]]:
    """Return every module of the package with those it imports, inside functions and for types included."""
    paths = {
        '.'.join(path.relative_to(project_root).with_suffix('').parts).removesuffix('.__init__'): path
        for path in (project_root / 'vss_ros').rglob('*.py')
    }
    return {module: set(_imported(path, paths)) - {module} for module, path in paths.items()}


def _imported(path: Path, known: dict[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f'{node.module}.{alias.name}' for alias in node.names)
            found |= {name if name in known else node.module for name in names}
    return found & known.keys()


def _folder(module: str) -> str | None:
    """Return the folder below ``vss_ros`` that a module lies in, None for those right in it."""
    parts = module.split('.')
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else None


def test_every_folder_has_its_place(project_root: Path) -> None:
    folders = {path.parent.name for path in (project_root / 'vss_ros').glob('*/*.py')}
    assert folders == ALLOWED.keys()


def test_imports_run_downwards(graph: dict[str, set[str]]) -> None:
    wrong = {
        f'{module} imports {other}'
        for module, others in graph.items()
        for other in others
        if (below := _folder(other)) is not None
        and below != (here := _folder(module))
        and below not in ALLOWED.get(here or '', set())
    }
    assert not wrong


def test_imports_run_in_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(' → '.join(error.args[1]))


def test_files_and_folders_stay_small(project_root: Path) -> None:
    files = list((project_root / 'vss_ros').rglob('*.py'))
    long = {
        str(path.relative_to(project_root)): lines
        for path in files
        if (lines := path.read_text(encoding='utf-8').count('\n')) > MOST_LINES
    }
    assert not long
    folders = {path.parent for path in files}
    full = {
        str(folder.relative_to(project_root)): number
        for folder in folders
        if (number := len({entry.name for entry in folder.iterdir()} - {'__pycache__'})) > MOST_FILES
    }
    assert not full
