"""Tables of clips: what is published is read, what does not fit is refused by name."""

from pathlib import Path

import pytest

from volkit.errors import SourceError
from volkit.io.clip_tables import read_clip_table

METADATA = """filename,url,project_id,num_frames,crowd_score,tier1,micro,nano
100000.mp4,s3://bucket/100000.mp4,M1,54,0.0,True,True,False
100001.mp4,s3://bucket/100001.mp4,M1,,0.9,,False,False
100002.mp4,s3://bucket/100002.mp4,M2,60,,False,False,True
"""
LABELS = "filename,stalled\n100001.mp4,1\n100000.mp4,0.0\n"


@pytest.fixture
def write(tmp_path: Path):
    def made(metadata: str = METADATA, labels: str = LABELS) -> tuple[Path, Path]:
        (tmp_path / "train_metadata.csv").write_text(metadata)
        (tmp_path / "train_labels.csv").write_text(labels)
        return tmp_path / "train_metadata.csv", tmp_path / "train_labels.csv"

    return made


def test_published_tables_are_read(write) -> None:
    table = read_clip_table(*write())
    assert table["filename"].tolist() == ["100000.mp4", "100001.mp4", "100002.mp4"]
    assert table["stalled"].isna().tolist() == [False, False, True]
    assert table["stalled"].tolist()[:2] == [False, True]
    assert table["num_frames"].isna().tolist() == [False, True, False]
    assert table["num_frames"].iloc[2] == 60
    assert table["crowd_score"].tolist()[:2] == [0.0, 0.9]
    assert table["tier1"].isna().tolist() == [False, True, False]
    assert table["expert"].isna().all()
    assert dict(table.dtypes.astype(str)) == {
        "filename": table["filename"].dtype.name,
        "url": table["filename"].dtype.name,
        "project_id": table["filename"].dtype.name,
        "num_frames": "Int64",
        "crowd_score": "float64",
        "tier1": "boolean",
        "micro": "boolean",
        "nano": "boolean",
        "expert": "boolean",
        "stalled": "boolean",
    }


def test_a_test_set_has_no_labels_and_few_columns(write) -> None:
    metadata, _ = write("filename,project_id\na.mp4,M1\n")
    table = read_clip_table(metadata)
    assert table[["stalled", "tier1", "num_frames", "crowd_score"]].isna().all(axis=None)
    assert table["url"].isna().all()


@pytest.mark.parametrize(
    ("metadata", "labels", "message"),
    [
        (METADATA + METADATA.splitlines()[1] + "\n", LABELS, "names 1 clips twice: 100000.mp4"),
        (METADATA, LABELS + "100000.mp4,1\n", "names 1 clips twice: 100000.mp4"),
        (METADATA, LABELS + "x.mp4,1\n", "labels 1 clips that .* does not know: x.mp4"),
        (METADATA, LABELS + "100002.mp4,2\n", "stalled of 100002.mp4 is '2'; expected 0 or 1"),
        (METADATA, LABELS + "100002.mp4,\n", "a row has no stalled; fill it in"),
        (METADATA.replace("0.9", "1.9"), LABELS, "crowd_score of 100001.mp4 is not a share"),
        (METADATA.replace("0.9", "high"), LABELS, "crowd_score of 100001.mp4 is 'high'"),
        (METADATA.replace(",54,", ",5.5,"), LABELS, "num_frames of 100000.mp4 is '5.5'"),
        (METADATA.replace("True,True", "yes,True"), LABELS, "tier1 of 100000.mp4 is 'yes'"),
        (METADATA.replace("project_id", "project"), LABELS, "no column project_id, but filename"),
        (METADATA.replace(",M2,", ",,"), LABELS, "a row has no project_id"),
        (METADATA.splitlines()[0] + "\n", LABELS, "names no clip"),
        (METADATA, "filename,label\n1,1\n", "no column stalled"),
        ("", LABELS, "cannot be read as CSV"),
        ('a,b\n"1', LABELS, "cannot be read as CSV"),
    ],
)
def test_what_does_not_fit_is_refused(write, metadata, labels, message) -> None:
    with pytest.raises(SourceError, match=message):
        read_clip_table(*write(metadata, labels))


def test_an_absent_table_is_named(write, tmp_path) -> None:
    with pytest.raises(SourceError, match=r"absent\.csv does not exist"):
        read_clip_table(tmp_path / "absent.csv")
