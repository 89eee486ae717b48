"""Many configurations over many inputs: what to run, where it runs, what is kept and what is written.

Read ``configuration`` (one configuration as plain values), ``sweep`` (a YAML file → configurations),
``store`` (results found again by what they depend on), ``pool`` (jobs on this machine) and ``ray`` (on a
cluster), then ``summary`` (figures over all inputs), ``verdict`` (which configuration to take) and
``outputs`` (the files of an evaluation).
"""
