"""Testing: synthetic specimens and strategies, shipped for users' own tests."""
