"""Zarr: arrays, groups and OME-Zarr multiscales, versions 2 and 3, local or in object stores."""
