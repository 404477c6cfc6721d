"""Engines: apply a kernel to blocks, lazily (dask) or durably (store to store)."""
