"""Fonts: only labels that need it change them, and what cannot be written is said."""

import shutil

import pytest

from userops.core import fonts

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def _forget():
    fonts._chinese_font.cache_clear()
    yield
    fonts._chinese_font.cache_clear()


def test_plain_labels_keep_the_readers_own_font():
    assert fonts.font_of(["sales", "Größe", 7, None]) == {}


def test_chinese_labels_get_a_font_that_is_installed_or_a_warning(monkeypatch):
    monkeypatch.setattr(fonts, "_CHINESE", ("no such family", "DejaVu Sans Mono"))
    assert fonts.font_of(["sales", "积分"]) == {"fontfamily": ["DejaVu Sans Mono", "DejaVu Sans"]}
    fonts._chinese_font.cache_clear()
    monkeypatch.setattr(fonts, "_CHINESE", ("no such family",))
    monkeypatch.setattr(fonts, "_FOLDERS", ("/no/such/folder",))
    with pytest.warns(UserWarning, match="no installed font has Chinese characters"):
        assert fonts.font_of(["积分"]) == {}


def test_a_font_file_that_is_found_is_offered_to_matplotlib(tmp_path, monkeypatch):
    from matplotlib import font_manager

    shutil.copy(font_manager.findfont("DejaVu Sans"), tmp_path / "NotoSansSC-Regular.otf")
    offered = []
    monkeypatch.setattr(fonts, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(fonts, "_CHINESE", ("no such family",))
    monkeypatch.setattr(font_manager.fontManager, "addfont", offered.append)
    assert fonts._chinese_font() is None
    assert offered == [str(tmp_path / "NotoSansSC-Regular.otf")]
