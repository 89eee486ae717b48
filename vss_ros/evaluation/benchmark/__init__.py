"""How fast everything is on this machine: contenders take turns in one process, so that drift hits all alike.

In order: ``contenders`` says who competes, ``network_file`` is a user's own network among them, ``turns``
takes the times, ``benchmark`` runs all of it and makes rows of figures, ``table`` shows them.
"""
