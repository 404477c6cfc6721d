"""Tables with pictures: one for each row, of what lies there, read when they are shown."""

import base64
import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from volkit.errors import ConfigError, SourceError
from volkit.io.open import open_volume
from volkit.viewer.picture_table import PictureTable


@pytest.fixture
def image():
    values = np.zeros((3, 40, 40), np.uint8)
    values[1, 20, 30] = 255
    return open_volume(values, voxel_size_nm=(40.0, 10.0, 10.0))


def pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)
    return [imread(BytesIO(base64.b64decode(data)), format="png") for data in found]


def test_every_row_shows_what_lies_there(image) -> None:
    table = pd.DataFrame({"z_nm": [40.0, 0.0], "y_nm": [200.0, 100.0], "x_nm": [300.0, 100.0],
                          "class": ["<b>a", "b"], "score": [0.123456789, 1.0]})  # fmt: skip
    html = PictureTable(table, image, size_nm=100.0)._repr_html_()
    first, second = pictures(html)
    assert first.shape[:2] == (11, 11)
    bright = np.argwhere(first.reshape(11, 11, -1)[..., 0] > 0.9)
    assert bright.tolist() == [[5, 5]]  # in the middle
    assert len(np.unique(second)) == 1
    assert "&lt;b&gt;a" in html
    assert "<b>" not in html
    assert "0.123457" in html
    assert 'alt="plane around voxel 1,20,30"' in html


def test_boxes_and_places_beyond_the_image(image) -> None:
    edges = {"z_start": [1, 90], "y_start": [15, 0], "x_start": [25, 0],
             "z_stop": [2, 91], "y_stop": [26, 9], "x_stop": [36, 9]}  # fmt: skip
    table = pd.DataFrame({"id": [1, 2], **edges})
    html = PictureTable(table, image, size_nm=60.0)._repr_html_()
    (only,) = pictures(html)
    assert np.argwhere(only.reshape(7, 7, -1)[..., 0] > 0.9).tolist() == [[3, 3]]
    assert "outside" in html


def test_a_row_without_a_place_has_no_picture(image) -> None:
    table = pd.DataFrame({"z": [1.0, np.nan], "y": [5.0, np.nan], "x": [5.0, np.nan]})
    html = PictureTable(table, image)._repr_html_()
    assert len(pictures(html)) == 1
    assert "no place" in html


def test_only_the_first_rows_are_shown(image) -> None:
    table = pd.DataFrame({"z": [1] * 30, "y": [5] * 30, "x": [5] * 30})
    html = PictureTable(table, image, rows=4)._repr_html_()
    assert len(pictures(html)) == 4
    assert "and 26 more rows" in html


def test_bad_input(image) -> None:
    with pytest.raises(SourceError, match=r"the table does not say where its rows lie: it has a"):
        PictureTable(pd.DataFrame({"a": [1]}), image)
    with pytest.raises(ConfigError, match=r"60 rows of 500 nm: show 1 to 50 rows"):
        PictureTable(pd.DataFrame({"z": [1], "y": [1], "x": [1]}), image, rows=60)
