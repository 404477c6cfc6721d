"""Datasets: published tasks as PyTorch Datasets, from wherever their volumes lie."""

from volkit.datasets.boss_task import BossTask
from volkit.datasets.task_file import Task, read_task

__all__ = ["BossTask", "Task", "read_task"]
