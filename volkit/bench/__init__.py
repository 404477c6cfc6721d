"""Benches: what volkit costs, beside its peers, on the machine at hand."""
