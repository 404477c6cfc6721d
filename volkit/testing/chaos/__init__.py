"""Chaos: a real job whose processes, disk and storage fail at random moments, by seed.

Every trial runs a small job of three stages on a real cluster, lets something fail, and runs the
same command again until it ends.  The result must be that of an undisturbed run, to the byte, and
nothing may be computed again but what was in flight.

``python -m volkit.testing.chaos --kills 50 --seed 0`` prints a table.
"""
