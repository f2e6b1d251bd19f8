"""How much of the package the main job needs, and the command line's help. Counted, never timed."""

import json
import subprocess
import sys

MOST_MODULES, MOST_LINES = 61, 10360
"""What `python -m daam_bench.run --method daam` may import of the package. Lower it, never raise it."""

MEASURE = """
import json, sys
from pathlib import Path
import daam_bench
from daam_bench.run import main
status = main(sys.argv[1:])
root = Path(daam_bench.__file__).parent
files = {Path(module.__file__) for module in [*sys.modules.values()] if getattr(module, "__file__", None)}
ours = [path for path in files if root in path.parents]
print(json.dumps({str(path.relative_to(root)): len(path.read_text().splitlines()) for path in ours}))
sys.exit(status)
"""


def test_the_main_job_imports_few_modules(generated_dataset, tmp_path):
    options = ["--dataset", str(generated_dataset), "--split", "coco_gen", "--method", "daam"]
    options += ["--device", "cpu", "--limit", "1", "--output", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, *options], capture_output=True, text=True, check=True
    )
    lines = json.loads(result.stdout.splitlines()[-1])
    assert "segmenters/daam.py" in lines
    assert len(lines) <= MOST_MODULES, sorted(lines)
    assert sum(lines.values()) <= MOST_LINES, sorted(lines.items(), key=lambda item: -item[1])


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from daam_bench.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'datasets', 'matplotlib', 'numpy', 'PIL'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "compare" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"
