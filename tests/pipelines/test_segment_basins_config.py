"""How basins are merged, by what a workflow says of it."""

from volkit.pipelines.segment_basins_config import AgglomerationOptions, BasinOptions, MutexOptions


def test_the_mean_merges_where_nothing_else_is_said() -> None:
    assert BasinOptions().scored == AgglomerationOptions(linkage="mean", threshold=0.7)
    assert BasinOptions(smallest=9, held="boxes").scored == AgglomerationOptions(held="boxes")
    said = AgglomerationOptions(linkage="max", threshold=0.2)
    assert BasinOptions(agglomeration=said).scored == said


def test_size_or_exclusion_merge_where_they_are_named() -> None:
    named = ({"linkage": ((100, 0.5),)}, {"threshold": 0.5}, {"mutex": MutexOptions()})
    assert [BasinOptions(**how).scored for how in named] == [None, None, None]
