"""The options as ROS parameters: declared, read, and handed to a node that is started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from vss_ros.engine.options import DEFAULTS, PARAMETERS, SegmenterConfig, node_config

pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)

from vss_ros.node.intake import TRANSPORTS
from vss_ros.node.parameter_files import files_for_others
from vss_ros.node.parameters import assignments, declare_parameters, read_parameters

if TYPE_CHECKING:
    from pathlib import Path


class Declared(dict[str, Any]):
    """Stands for a node: keeps what is declared."""

    def declare_parameter(self, name: str, default: Any, descriptor: Any) -> None:
        self[name] = SimpleNamespace(value=default, descriptor=descriptor)

    def get_parameter(self, name: str) -> Any:
        return self[name]


def test_every_option_is_declared_with_its_bounds_and_text() -> None:
    node: Any = Declared()
    declare_parameters(node)
    assert {name: declared.value for name, declared in node.items()} == DEFAULTS
    assert repr(read_parameters(node)) == repr(node_config({}))
    for name, option in PARAMETERS.items():
        descriptor = node[name].descriptor
        assert descriptor.description == option.description
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert [(r.from_value, r.to_value) for r in ranges] == ([option.bounds] if option.bounds else [])


def test_every_transport_can_be_chosen() -> None:
    assert tuple(TRANSPORTS) == PARAMETERS['image_transport'].choices


@pytest.mark.parametrize(
    'segmenter',
    [
        SegmenterConfig(),
        SegmenterConfig(
            model='/a folder/m.yaml', propagation='none', scheduler='fixed_interval', threshold=0.25,
            min_interval=2, interval=7, track='blocking', device='cuda:1', size=(72, 96), threads=3,
            motion='light_flow', max_gap=0.5, interior=2,
        ),
    ],
)  # fmt: skip
def test_assignments_set_the_node_to_a_segmenter(segmenter: SegmenterConfig) -> None:
    pairs = [word.split(':=', 1) for word in assignments(segmenter)]
    node = node_config({name: yaml.safe_load(value) for name, value in pairs})
    assert repr(node.segmenter) == repr(segmenter)  # a threshold of NaN equals nothing


@pytest.mark.parametrize(
    ('section', 'node', 'reaches'),
    [
        ('/**', '/a/b/segmentation', True),
        ('segmentation', '/segmentation', True),
        ('/segmentation', '/a/segmentation', False),
        ('/**/segmentation', '/a/b/segmentation', True),
        ('/**/segmentation', '/segmentation', True),
        ('/*/segmentation', '/a/segmentation', True),
        ('/*/segmentation', '/a/b/segmentation', False),
        ('/a/seg', '/a/segmentation', False),
    ],
)
def test_which_sections_of_a_file_reach_a_node(
    section: str, node: str, reaches: bool, tmp_path: Path
) -> None:
    file = tmp_path / 'p.yaml'
    file.write_text(yaml.safe_dump({section: {'ros__parameters': {'model': 'x'}}}))
    said = list(files_for_others(['x', '--ros-args', '--params-file', str(file)], node))
    assert (said == []) is reaches
