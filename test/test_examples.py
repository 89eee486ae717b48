"""Shipped examples and layouts name parameters, classes and topics that there are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from vss_ros.engine.model_card import read_card
from vss_ros.engine.options import PARAMETERS, SegmenterConfig, node_config
from vss_ros.images.class_map import load_class_map
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

TABLE = load_classes(read_card(SegmenterConfig().model).classes)


def example(root: Path, name: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((root / f'config/examples/{name}.yaml').read_text())['/**']
    return tree


@pytest.mark.parametrize('name', ['nav2', 'autoware'])
def test_the_node_takes_the_parameters(name: str, project_root: Path) -> None:
    values = example(project_root, name)['segmentation']['ros__parameters']
    assert values.keys() <= PARAMETERS.keys()
    assert node_config(values).profile == name


def test_the_costmap_layer_knows_every_class_that_is_published(project_root: Path) -> None:
    tree = example(project_root, 'nav2')
    classes = load_class_map(tree['segmentation']['ros__parameters']['class_map'], TABLE).table.names
    layer = tree['local_costmap']['local_costmap']['ros__parameters']['semantic_segmentation_layer']
    source = layer[layer['observation_sources']]
    assert sorted(name for kind in source['class_types'] for name in source[kind]['classes']) == sorted(
        classes
    )


def test_the_fusion_has_a_filter_for_each_of_its_labels_in_order(project_root: Path) -> None:
    values = example(project_root, 'autoware')['segmentation_pointcloud_fusion']['ros__parameters']
    start = 'filter_semantic_label_target.'
    labels = tuple(name.removeprefix(start) for name in values if name.startswith(start))
    assert labels == load_class_map('autoware', TABLE).table.names


@pytest.mark.parametrize(
    'file', ['rviz/segmentation.rviz', 'foxglove/segmentation.json', 'examples/nav2.yaml']
)
def test_topics_are_those_of_the_node(file: str, project_root: Path) -> None:
    text = (project_root / 'config' / file).read_text()
    assert json.loads(text) if file.endswith('json') else yaml.safe_load(text)
    policy = (project_root / 'config/sros2/segmentation.policy.xml').read_text()
    published = {f'/segmentation/{name}' for name in re.findall(r'<topic>~/([\w/]+)', policy)}
    named = set(re.findall(r'/segmentation/[\w/]+', text.replace('segmentation/segmentation', '')))
    assert named
    assert named <= published | {'/segmentation/points'}  # with depth_topic
