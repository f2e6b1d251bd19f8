"""The notebook in docs runs from the top, and shows what it is stored with.

`jupyter execute --inplace docs/tour.ipynb` stores its outputs again.
"""

from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_diffusion_transformers import sd3

pytestmark = pytest.mark.slow

TOUR = Path(__file__).parents[1] / "docs" / "tour.ipynb"


@pytest.fixture
def notebook():
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install 'daam-bench[dev]'")
    return nbformat.read(TOUR, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell):
    """Which of a cell's outputs are pages or images."""
    return [{"text/html", "image/png"} & set(output.get("data", {})) for output in cell.outputs]


def test_it_runs_and_shows_images_where_the_stored_one_does(notebook, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install 'daam-bench[dev]'")
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install 'daam-bench[dev]'")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    stored = [kinds(cell) for cell in code_cells(notebook)]
    for quick, slow in (("LIMIT = 2", "LIMIT = 8"), ("num_inference_steps=2", "num_inference_steps=50")):
        assert any(slow in cell.source for cell in code_cells(notebook))
        for cell in code_cells(notebook):
            cell.source = cell.source.replace(slow, quick)

    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    assert [kinds(cell) for cell in code_cells(notebook)] == stored
    assert "nothing is wrong with it" in code_cells(notebook)[-1].outputs[0].text


def test_its_cells_about_maps_take_a_diffusion_transformer(notebook, tmp_path):
    sd3().save_pretrained(tmp_path / "model")
    cells = [cell.source for cell in code_cells(notebook)]
    first = next(index for index, source in enumerate(cells) if "with trace(pipeline)" in source)
    last = next(index for index, source in enumerate(cells) if ".threshold(" in source)
    about_maps = "\n".join(cells[first : last + 1])
    assert 'load_pipeline("emoji")' in about_maps
    about_maps = about_maps.replace('load_pipeline("emoji")', f'load_pipeline("{tmp_path / "model"}")')
    names = {"enlarged": lambda image: image, "Image": Image}
    exec(about_maps.replace("num_inference_steps=50", "num_inference_steps=2"), names)
    assert names["mask"].shape == (64, 64)
    assert {"boat", "fish", "sea"} <= set(names["maps"])


def test_it_is_stored_with_its_outputs_and_without_errors_or_paths(notebook):
    assert all(cell.execution_count for cell in code_cells(notebook))
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result", "stream"}
    assert {output.get("name") for output in outputs} <= {"stdout", None}
    assert not any(str(Path(home)) in str(outputs) for home in ("/tmp", "/home", "/root", "/work"))
    assert TOUR.stat().st_size < 1_000_000
