"""Kernels: the science as plain functions on NumPy arrays."""
