"""The guide to testing firmware, and the template: their tests pass as they are printed."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import textwrap

from conftest import ROOT

GUIDE = (ROOT / "lib" / "ringlane_host" / "README.md").read_text()
FILES = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", GUIDE, re.M | re.S)


def passed(folder, *options):
    """Run the tests in a folder; return how many passed. Fails if one did not."""
    installed = {each.name for each in importlib.metadata.entry_points(group="pytest11")}
    plugin = [] if "ringlane" in installed else ["-p", "ringlane_host.plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, *options, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert not done.returncode, done.stdout + done.stderr
    return int(re.search(r"(\d+) passed", done.stdout)[1])


def test_the_guides_tests_pass_as_printed(tmp_path):
    assert GUIDE.count("```python") == len(FILES)
    for name, text in FILES:
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert passed(tmp_path) == GUIDE.count("def test_")


def test_the_first_program_of_the_readme_under_its_test(tmp_path):
    readme = (ROOT / "README.md").read_text()
    test = re.search(r"^    def test_.*?(?=^\S)", readme, re.M | re.S)[0]
    (tmp_path / "main.py").write_text(re.search(r"^```python\n(.*?)^```", readme, re.M | re.S)[1])
    (tmp_path / "test_main.py").write_text(textwrap.dedent(test))
    assert passed(tmp_path) == 1


def test_the_template_passes_as_it_is_copied(tmp_path):
    folder = shutil.copytree(ROOT / "firmware" / "template", tmp_path / "mine")
    assert passed(folder) == 3


def test_one_test_on_the_simulated_and_on_the_emulated_pico(uf2, tmp_path):
    folder = shutil.copytree(ROOT / "firmware" / "template", tmp_path / "mine")
    targets = "--ringlane-target=sim", f"--ringlane-target=rp2040:{uf2}"
    assert passed(folder, *targets, "-k", "press and 3") == 2
