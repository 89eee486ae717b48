"""Files that people write: every fault with its line and key, and no file that is too much."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field

from vss_ros.errors import VssError
from vss_ros.schema import FROM_LIST, Schema, converted, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.schema import Fault


def even(value: Any) -> Any:
    if value % 2:
        raise VssError(f'expected an even number, got {value}')
    return value


class Wheel(Schema):
    size: Annotated[int, converted(even)] = 2
    weight: float = 1.0


class Cart(Schema):
    name: str
    wheels: dict[str, Wheel] = Field(default_factory=dict)
    spare: list[Wheel] | None = None
    crop: Annotated[tuple[int, int], FROM_LIST] = (1, 2)
    brake: bool = False


def cart(tmp_path: Path, text: str, *more: Fault) -> Cart:
    file = tmp_path / 'cart.yaml'
    file.write_text(text)
    return read_yaml(file, 'cart').checked(Cart, more)


def nested(form: str) -> str:
    """Return lines of which each stands for nine times as many values as the one before."""
    names = 'abcdefghij'
    return ''.join(f'{k}: &{k} {form % (f"*{j}, " * 9)}\n' for j, k in itertools.pairwise(names))


def test_what_is_right_becomes_a_model(tmp_path: Path) -> None:
    found = cart(tmp_path, 'name: a\nwheels: {left: &w {size: 4, weight: 2}, right: *w}\ncrop: [3, 4]\n')
    assert found.wheels == {'left': Wheel(size=4, weight=2.0), 'right': Wheel(size=4, weight=2.0)}
    assert found.crop == (3, 4)


def test_all_faults_at_once_with_line_and_key(tmp_path: Path) -> None:
    text = """\
wheels:
  left: {size: 3}
  right:
    weigth: 1
    weight: .nan
crop: [1, two]
brake: 1
spare:
  - {size: 2}
  - {weight: .inf, radius: 1}
"""
    with pytest.raises(VssError) as error:
        cart(tmp_path, text, (('wheels', 'left'), 'expected a pair'))
    file = tmp_path / 'cart.yaml'
    assert str(error.value).splitlines() == [
        f'{file}:1 name: expected a value, got none',
        f'{file}:2 wheels.left: expected a pair',
        f'{file}:2 wheels.left.size: expected an even number, got 3',
        f'{file}:4 wheels.right.weigth: expected one of size, weight, got weigth; did you mean weight?',
        f'{file}:5 wheels.right.weight: expected a finite number, got nan',
        f"{file}:6 crop[1]: expected a whole number, got 'two'",
        f'{file}:7 brake: expected true or false, got 1',
        f'{file}:10 spare[1].weight: expected a finite number, got inf',
        f'{file}:10 spare[1].radius: expected one of size, weight, got radius',
    ]


@pytest.mark.parametrize('text', ['', '- a', '5'])
def test_another_kind_of_document_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(VssError, match=r'cart.yaml:1 expected a mapping of names to values, got'):
        cart(tmp_path, text)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('name: [', 'readable cart file'),
        ('name: !!python/object:os.system {}', 'readable cart file'),
        ('name: 2026-13-45', 'readable cart file'),
        ('[' * 9999, 'readable cart file'),
        ('a: &a [*a]', 'at most'),
        ('name: a\nwheels: {}\nname: b', 'line 3: expected name once'),
        ('a: &a {b: 1}\n' + nested('{<<: [%s]}'), 'at most'),
        ('a: &a [1]\n' + nested('[%s]'), 'at most'),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VssError, match=message) as error:
        cart(tmp_path, text)
    assert 'cart.yaml' in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VssError, match='readable cart file'):
        read_yaml(tmp_path / 'none.yaml', 'cart')
