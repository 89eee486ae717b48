"""Parameters and operations that the five papers publish, beside those of this engine's parts.

Writes the page ``experiments/docs/costs.md`` anew::

    python -m experiments.paper_costs > experiments/docs/costs.md
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial

import torch

from experiments.flops import TABLE_FORMULAS, Bench, decision, layers, meta, millions
from vss_ros.engine.motion.flow_net_s import FlowNetS
from vss_ros.engine.motion.light_flow import LightFlow
from vss_ros.engine.propagation.distortion_aware import DistortionAware
from vss_ros.engine.propagation.spatially_variant_conv import SpatiallyVariantConv
from vss_ros.engine.propagation.tamed_warping import TamedWarping
from vss_ros.engine.propagation.temporal_holistic_attention import pooled_correlations
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.evaluation.replay.operations import LEFT_OUT, count_flops

Size = tuple[int, int]
FULL, THREE_QUARTERS, HALF = (1024, 2048), (768, 1536), (512, 1024)
"""Height and width of Cityscapes images and of what papers make of them."""
CAMVID, UAVID = (720, 960), (2160, 3840)
INPUT = (352, 480)
"""What the default makes of a camera of 360x480."""
FAR = 0.05
"""Share by which a count may differ from its paper's without a reason."""
PARAMETERS, BYTES, MACS = 'M parameters', 'MB of parameters', 'G multiply-adds'
MEGA_MACS, TABLE, SHARE = 'M multiply-adds', 'GFLOPs, Table I', '% of the key frame'
BY_TABLE = LEFT_OUT | TABLE_FORMULAS
INTRODUCTION = """# What the systems cost

Parameters and operations of each system's networks at its paper's input size, beside the paper's own figures.
Written by

    tools/run python -m experiments.paper_costs > experiments/docs/costs.md

and compared by `test/engine/test_system_figures.py`. What differs by more than 5 % has its reason below.

- 19 classes; 11 at CamVid's 720x960, 8 at UAVid's 2160x3840.
- A key frame is the whole network. A non-key frame is all that runs on the others: low part, motion,
  propagation, scheduler and head, as far as the system has them. Motion that a codec sends, or that DIS
  searches, counts as nothing.
- Multiply-adds are half the operations that PyTorch's counter sees in convolutions and matrix products, plus
  warps and shifted sums. The distortion-aware paper counts by its Table I, and so do we beside its figures
  (`experiments/flops.py`).
- What a part costs with other backbones and sizes, and in milliseconds: `vss models show NAME`.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a paper's and ours, or ours alone."""

    part: str
    unit: str
    size: Size | None
    """Height and width of the image, None where the figure doesn't depend on it."""
    ours: float
    paper: float | None = None
    """None where the paper states none."""
    where: str = ''
    """In the paper."""
    why: str = ''
    """The reason, where ours differs by more than 5 %."""

    @property
    def ratio(self) -> float:
        """Ours by the paper's, 1 where that is none."""
        return self.ours / self.paper if self.paper else 1.0

    @property
    def is_far(self) -> bool:
        """Whether a reason is owed."""
        return abs(self.ratio - 1) > FAR


@dataclass(frozen=True, slots=True)
class System:
    """One paper's system."""

    title: str
    parts: str
    """Registered names."""
    rows: tuple[Row, ...]


TIME = 'Theirs is time on a GPU, ours operations'
WIDE = f'{TIME}; wide, shallow layers are bound by memory.'
SELECTOR = '32 channels and not 256, as it serves slim backbones too'
WHY = {
    'quoted': 'Quoted from elsewhere, without a word on what is counted. Here conv4 and conv5 keep stride 8.',
    'fusion': 'The head takes F_h as it is, so the fusion returns its 512 channels and not 256',
    'lernet parameters': 'The block as section 3.2 describes it, with two 1x1 convolutions a branch.',
    'lernet': 'They do not say how they count. Fewer parameters in the same layers cannot make more '
    'multiply-adds, so there is more than convolutions in it.',
    'adapter': f'{TIME}, a third of it the 1x1 adapter that other backbones need.',
    'flow': "`flow_net_s` has a quarter of FlowNet's width, the authors' published code 0.375: next line.",
    'separable': "The text's four separable convolutions; the fourth of the published code is a plain 1x1.",
    'guide width': 'The guiding network has half the width of that in the published code.',
    'guide': 'The guiding network has half the published width and is narrowed before it is upsampled, 0.3 G '
    'for 1.8; the flow network strides once and not twice, 1.6 G for 0.4. (The published code, counted '
    'alike, has 2.4 G; it is not said what else makes 2.8.)',
    'decoder': "The paper leaves the decoder's widths open. Here they are the 128 and 64 that the counts of "
    'CFR and RGA demand of the layers it is cut at; the figure takes far more.',
    'spatial': "With the 1x1 convolution that brings f_t to F's width; the paper's CFR is one layer.",
    'two digits': 'Two digits, cut off and not rounded.',
}


def low_latency() -> System:
    """Count *Low-Latency Video Semantic Segmentation*; it states layers and times, no operations."""
    bench = Bench('resnet101_psp', 'spatially_variant_conv', FULL)
    net, moves, giga = bench.net, bench.moves, bench.multiply_adds()
    assert isinstance(moves, SpatiallyVariantConv)
    with torch.device('meta'):
        scheduler = PredictedDeviation(net.low_channels)
    decides = decision(scheduler, bench)
    small = Bench('resnet101_psp', 'spatially_variant_conv', (712, 712)).multiply_adds()
    reduce, same = (1024, 256, 3), (256, 256, 3)
    predictor = layers(reduce, (512, 256, 3), (256, 81, 1))
    selector = layers(reduce, same, (256, 1, 1))

    def size_of(part: str, ours: float, paper: float, why: str = '') -> Row:
        """Return a row of parameters."""
        return Row(part, PARAMETERS, None, ours, paper, 'layers of section 4', why)

    def share(part: str, count: float, paper: float, why: str) -> Row:
        """Return a row of a part's share of the key frame's operations, per cent."""
        return Row(part, SHARE, FULL, 100 * count / giga['key'], paper, 'Table 3, time', why)

    rows = (
        Row('key frame', PARAMETERS, None, millions(net), 65.7, 'THA paper, Table 5: 250.8 MiB'),
        Row('key frame', MACS, (712, 712), small['key'], 412.2, 'THA paper, Table 5', WHY['quoted']),
        size_of('kernel predictor', millions(moves.reduce, moves.predict), predictor),
        size_of('AdaptNet', millions(moves.adapt), layers(reduce, same, same)),
        size_of('fusion', millions(moves.fuse), layers((768, 256, 3)), WHY['fusion'] + '.'),
        size_of('key frame selector', millions(scheduler), selector, f'{SELECTOR}.'),
        share('low part', giga['low'], 16.9, WIDE),
        share('high part', giga['high'], 83.1, WIDE),
        share('key frame selector', decides, 5.5, f'{TIME}; {SELECTOR}.'),
        share('propagation', giga['propagation'], 10.5, f'{TIME}. {WHY["fusion"]}.'),
        share('non-key frame', giga['between'] + decides, 33, f'{TIME}.'),
        Row('key frame', MACS, FULL, giga['key']),
        Row('non-key frame', MACS, FULL, giga['between'] + decides),
    )
    parts = '`resnet101_psp`, `spatially_variant_conv`, `predicted_deviation`'
    return System('Low-latency, Li et al. 2018', parts, rows)


def holistic_attention() -> System:
    """Count *Feature Propagation with Holistic Attention*."""
    bench = Bench('lernet', 'temporal_holistic_attention', HALF)
    flops = bench.flops()
    giga = {part: count / 2 for part, count in flops.items()}
    larger = Bench('lernet', 'temporal_holistic_attention', THREE_QUARTERS).multiply_adds()
    products = count_flops(lambda: pooled_correlations(meta(4, 64, 128), meta(4, 64, 128))) / 2e9
    # The product with W_a and the sum of Eq. 4 are all that the plain counter leaves out.
    weighted = (flops['propagation'] - bench.flops({})['propagation']) / 2 * 1e3

    def share(part: str, count: float, paper: float, why: str) -> Row:
        """Return a row of a part's share of the key frame's operations, per cent."""
        return Row(part, SHARE, HALF, 100 * count / giga['key'], paper, 'Table 8, time', why)

    rows = (
        Row('key frame', PARAMETERS, None, millions(bench.net), 0.65, 'Table 2', WHY['lernet parameters']),
        Row('key frame', MACS, HALF, giga['key'], 12.76, 'Table 2', WHY['lernet']),
        Row('key frame', MACS, THREE_QUARTERS, larger['key'], 28.7, 'Table 5', WHY['lernet']),
        Row('product of all cells', MACS, HALF, products, 0.27, 'section 3.3'),
        Row('weights applied', MEGA_MACS, HALF, weighted, 1.049, 'section 3.4: HWC'),
        share('attention module', giga['propagation'], 10, WHY['adapter']),
        share('non-key frame', giga['between'], 70, f'{TIME}.'),
        Row('attention module', PARAMETERS, None, millions(bench.moves)),
        Row('non-key frame', MACS, HALF, giga['between']),
    )
    return System('Holistic attention, Wu et al. 2020', '`lernet`, `temporal_holistic_attention`', rows)


def distortion_aware() -> System:
    """Count *Distortion-Aware Feature Correction*, by the formulas of its Table I."""
    published = {  # key frame, CFNet, DMNet, FlowNet and non-key frame of Table II; classes
        FULL: (826.378, 123.775, 0.400, 86.918, 212.910, 19),
        CAMVID: (272.189, 41.741, 0.132, 29.219, 71.448, 11),
        UAVID: (3265.457, 484.319, 1.584, 341.441, 830.515, 8),
    }
    with torch.device('meta'):
        shipped, theirs = FlowNetS(), FlowNetS(0.375)
    rows = []
    for size, (key, cues, distortion, flow, between, classes) in published.items():
        bench = Bench('deeplabv3plus', 'distortion_aware', size, classes)
        moves, giga = bench.moves, bench.flops(BY_TABLE)
        assert isinstance(moves, DistortionAware)
        image, quarter = meta(3, *size), meta(3, size[0] // 4, size[1] // 4)
        narrow = count_flops(partial(shipped.pyramid, image, image), BY_TABLE) / 1e9
        wide = count_flops(partial(theirs.pyramid, image, image), BY_TABLE) / 1e9
        corrects = count_flops(partial(moves.cues, image), BY_TABLE) / 1e9
        compares = count_flops(partial(moves.distortion, quarter, quarter), BY_TABLE) / 1e9
        rows += [
            Row('key frame', TABLE, size, giga['key'], key, 'Table II'),
            Row('CFNet', TABLE, size, corrects, cues, 'Table II'),
            Row('DMNet', TABLE, size, compares, distortion, 'Table II', WHY['separable']),
            Row('FlowNet', TABLE, size, narrow, flow, 'Table II', WHY['flow']),
            Row('FlowNet, 0.375 wide', TABLE, size, wide, flow, 'Table II'),
            Row(
                'non-key frame',
                TABLE,
                size,
                giga['between'] + narrow,
                between,
                'Table II',
                WHY['flow'],
            ),
            Row('non-key frame with it', TABLE, size, giga['between'] + wide, between, 'Table II'),
        ]
    bench = Bench('deeplabv3plus', 'distortion_aware', FULL)
    rows += [
        Row('key frame', PARAMETERS, None, millions(bench.net)),
        Row('CFNet and DMNet', PARAMETERS, None, millions(bench.moves)),
        Row('`flow_net_s`', PARAMETERS, None, millions(shipped)),
    ]
    parts = '`deeplabv3plus`, `distortion_aware`, `flow_net_s`'
    return System('Distortion-aware correction, Zhuang et al. 2021', parts, tuple(rows))


def guided_filter() -> System:
    """Count *GSVNet*; its non-key frames work on cells of 8 x 8 pixels of the full image."""
    swift = Bench('swiftnet_r18', 'guided_filter', THREE_QUARTERS)
    bise = Bench('bisenet_r18', 'guided_filter', THREE_QUARTERS)
    full = Bench('bisenet_r18', 'guided_filter', FULL)
    half = Bench('swiftnet_r18', 'guided_filter', HALF).multiply_adds()
    giga = swift.multiply_adds()
    with torch.device('meta'):
        flow = LightFlow()

    def motion(size: Size) -> float:
        """Return the flow network's operations on an image, G."""
        cells = meta(3, size[0] // flow.stride, size[1] // flow.stride)
        return count_flops(lambda: flow.estimate(cells, cells, swift.view)) / 2e9

    alike = full.multiply_adds()['between'] + motion(FULL)
    between = giga['between'] + motion(THREE_QUARTERS)
    bytes_between, mean = 4 * millions(swift.moves, flow), (giga['key'] + 3 * between) / 4
    rows = (
        Row('key frame, SwiftNet', BYTES, None, 4 * millions(swift.net), 47.2, 'Table 2'),
        Row('key frame, BiSeNet', BYTES, None, 4 * millions(bise.net), 49.0, 'Table 2'),
        Row('non-key frame', BYTES, None, bytes_between, 1.6, 'Table 2', WHY['guide width']),
        Row('key frame, SwiftNet', MACS, THREE_QUARTERS, giga['key'], 58.5, 'Table 2'),
        Row('key frame, SwiftNet', MACS, HALF, half['key'], 26.0, 'Table 2'),
        Row('key frame, BiSeNet', MACS, THREE_QUARTERS, bise.multiply_adds()['key'], 58.0, 'Table 2'),
        Row('non-key frame, BiSeNet', MACS, FULL, alike, 2.8, 'section 4.2', WHY['guide']),
        Row('non-key frame, SwiftNet', MACS, THREE_QUARTERS, between, 2.8, 'section 4.2', WHY['guide']),
        Row('mean of 4 frames, SwiftNet', MACS, THREE_QUARTERS, mean, 16.7, 'Table 2'),
    )
    parts = '`swiftnet_r18` or `bisenet_r18`, `guided_filter`, `light_flow`'
    return System('GSVNet, Lee et al. 2021', parts, rows)


def tamed_warping() -> System:
    """Count *Tamed Warping Network*, whose operations are multiply-adds (see ``WHY``)."""
    rows = []
    for interior, between, attention in ((1, 113.28, 1.2), (2, 73.00, 2.9)):
        bench = Bench('mobilenet_fpn', 'tamed_warping', FULL, interior=interior)
        moves, giga = bench.moves, bench.multiply_adds()
        assert isinstance(moves, TamedWarping)
        height, width = (side // bench.net.high_stride for side in FULL)
        joined, residual = meta(moves.rectify.in_channels, height, width), meta(3, height, width)
        rectify = count_flops(partial(moves.rectify, joined)) / 2e9
        # The convolution, and one multiplication for each value of the residual features.
        attend = count_flops(partial(moves.attend, residual)) / 2e6 + moves.moved * height * width / 1e6
        layer = f'layer {interior}'
        head_and_tail = giga['low'] + giga['head']
        added = giga['propagation']
        rows += [
            Row(f'non-key CNN, {layer}', MACS, FULL, head_and_tail, between, 'Table 3', WHY['decoder']),
            Row(f'CFR, {layer}', MACS, FULL, rectify, 2.42, 'Table 3'),
            Row(f'RGA, {layer}', MEGA_MACS, FULL, attend, attention, 'Table 3', WHY['two digits']),
            Row(f'correction, {layer}', MACS, FULL, added, 2.42 + attention / 1e3, 'Table 3', WHY['spatial']),
            Row(f'correction, {layer}', PARAMETERS, None, millions(moves)),
            Row(f'non-key frame, {layer}', MACS, FULL, giga['between']),
        ]
    rows += [
        Row('key frame', PARAMETERS, None, millions(bench.net)),
        Row('key frame', MACS, FULL, giga['key']),
    ]
    return System('Tamed warping, Feng et al. 2020', '`mobilenet_fpn`, `tamed_warping`', tuple(rows))


def default_system() -> System:
    """Count what runs where nothing is chosen; no paper has it."""
    bench = Bench('efficientnet_lite0_fpn', 'refined_warping', INPUT, 11)
    with torch.device('meta'):
        scheduler = PredictedDeviation(bench.net.low_channels)
    giga = bench.multiply_adds()
    rows = (
        Row('key frame', PARAMETERS, None, millions(bench.net)),
        Row('propagation and scheduler', PARAMETERS, None, millions(bench.moves, scheduler)),
        Row('key frame', MACS, INPUT, giga['key']),
        Row('non-key frame', MACS, INPUT, giga['between'] + decision(scheduler, bench)),
    )
    parts = '`efficientnet_lite0_fpn`, `refined_warping`, `accumulated_deviation`'
    return System('The default, 11 classes', parts, rows)


def systems() -> tuple[System, ...]:
    """Count the five systems and the default."""
    return (
        low_latency(),
        holistic_attention(),
        distortion_aware(),
        guided_filter(),
        tamed_warping(),
        default_system(),
    )


def page(counted: tuple[System, ...]) -> str:
    """Return the systems as a page of Markdown."""
    return '\n'.join([INTRODUCTION, *(_section(system) for system in counted)])


def _section(system: System) -> str:
    """Return a heading, a table and the reasons it refers to by number."""
    reasons = list(dict.fromkeys(row.why for row in system.rows if row.is_far))
    lines = [
        f'## {system.title}\n\n{system.parts}\n',
        '| part | image | unit | paper | ours | ours / paper | why |',
        '|---|---|---|---|---|---|---|',
    ]
    for row in system.rows:
        image = f'{row.size[0]}x{row.size[1]}' if row.size else ''
        paper, ratio = '', ''
        if row.paper is not None:
            paper, ratio = f'{row.paper:.7g} ({row.where})', f'{row.ratio:.3f}'
        why = str(reasons.index(row.why) + 1) if row.is_far else ''
        lines.append(f'| {" | ".join((row.part, image, row.unit, paper, f"{row.ours:.4g}", ratio, why))} |')
    lines += ['', *(f'{number}. {reason}' for number, reason in enumerate(reasons, 1))]
    return '\n'.join([*lines, *([''] if reasons else [])])


if __name__ == '__main__':
    argparse.ArgumentParser('python -m experiments.paper_costs', description=__doc__).parse_args()
    sys.stdout.write(page(systems()))
