"""The command ``vss``: one file a verb, whose docstring is its help text.

Read ``main`` (which finds the verb and reports errors) and ``common`` (arguments and outputs that several
verbs share), then any verb: ``segment``, ``evaluate``, ``benchmark``, ``train``, ``report``, ``models``,
``bag``. A verb offers ``add_arguments(parser)`` and ``run(args)``, which returns the exit status; the work is
done elsewhere. Files called after a verb and an underscore belong to it.
"""
