"""Objects: bytes under keys, in folders and object stores; whole or not at all, and verified."""

from volkit.io.objects.protocol import Objects, open_objects, split_object

__all__ = ["Objects", "open_objects", "split_object"]
