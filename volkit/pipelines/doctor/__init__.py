"""Doctor: whether this machine has what volkit needs, and what to do where it has not."""
