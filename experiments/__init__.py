"""Scripts behind the figures that the documentation states; not installed, run from a checkout.

The command is ``tools/run python -m experiments.NAME``, and each has ``--help``. In order of use:

- ``accuracy_tables DIR -o experiments/docs/accuracy.md``: accuracy of the shipped weights. ``pair_table`` and
  ``schedules`` compare schedulers for it, ``switches`` takes a correction out of a propagation,
  ``accuracy_page`` writes the page and draws its curves (``--plot``).
- ``paper_tables OUT``: the papers' tables beside the figures of ``vss evaluate -o OUT --sweep
  config/experiments/paper_tables.yaml``. ``paper_figures`` knows what can stand in a column.
- ``latency_plot OUT -o docs/latency.png``: README's plot, of ``vss evaluate -o OUT --live --sweep
  config/experiments/plot.yaml``.
- ``paper_costs > experiments/docs/costs.md``: parameters and operations beside the papers'; ``flops`` counts.
- ``ablation config/experiments/ablation.yaml --data camvid=DIR -o OUT``: recipes that differ in one thing.
"""
