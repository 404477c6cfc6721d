"""bioimage.io: model packages read as checkpoints, and checkpoints written as packages."""
