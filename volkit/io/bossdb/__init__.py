"""BossDB: channels of the Boss service, read and written through its REST interface."""
