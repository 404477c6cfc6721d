"""HTML: pages that need no other file, for runs, comparisons, evaluations and measurements."""
