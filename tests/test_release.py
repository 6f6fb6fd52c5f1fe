"""A release: its metadata agree, nothing provisional is released, and hosted CI does what `.ci/run` does."""

import re
import runpy
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

import skdiv

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
CI = (ROOT / ".ci" / "run").read_text("utf-8")
RELEASE = runpy.run_path(str(ROOT / "tools" / "release.py"))
LOWEST = runpy.run_path(str(ROOT / "tools" / "lowest_versions.py"))
TEXTS = {  # what a release has
    "pyproject.toml": '[project.urls]\nRepository = "https://host/skdiv"\n',
    "CITATION.cff": "version: 1.2.0\ndate-released: 2030-01-31\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.2.0 (2030-01-31)\n\n## 1.1.0 (2029-01-31)\n",
    "skdiv/_version.py": '__version__ = "1.2.0"\n',
}


def test_the_top_level_holds_what_the_project_was_asked_for():
    """The folder skdiv is not there where the tests run on an installed package; it is in use wherever they run."""
    asked_for = {"tests", "examples", "pyproject.toml", "setup.cfg", "README.md"}
    assert asked_for <= {path.name for path in ROOT.iterdir()}
    assert Path(skdiv.__file__).parent.name == "skdiv"


def test_setup_cfg_and_no_other_file_says_what_is_installed():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options"]["packages"] == "find:"
    assert setup["options.packages.find"]["include"].split(", ") == ["skdiv", "skdiv.*"]
    assert set(setup["options.package_data"]) == {"skdiv", "skdiv.datasets"}
    assert set(SETTINGS["tool"]["setuptools"]) == {"dynamic"}


def test_the_citation_says_what_the_metadata_say():
    assert CITATION["version"] == skdiv.__version__
    description = PROJECT["description"]
    assert CITATION["title"] == f"skdiv: {description[0].lower()}{description[1:]}"
    assert CITATION["abstract"].startswith(f"{description}. ")
    assert CITATION["keywords"] == PROJECT["keywords"]
    assert CITATION["license"] == PROJECT["license"].split(" AND ")[0]
    assert CITATION["repository-code"] == PROJECT["urls"]["Repository"]
    assert [author["name"] for author in CITATION["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_changelog_begins_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## (\S+)", changelog, flags=re.MULTILINE)[1] == skdiv.__version__


def test_a_release_with_nothing_left_open_is_let_through():
    assert list(RELEASE["open_points"](TEXTS)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "points"),
    [
        ("pyproject.toml", "https://host", "https://example.org", ["pyproject.toml:2: a placeholder"]),
        ("CITATION.cff", "version", "url: https://docs.example.org\nversion", ["CITATION.cff:1: a placeholder"]),
        ("CITATION.cff", "2030-01-31", "2030-02-01", ["'date-released: 2030-01-31'"]),
        ("CITATION.cff", "1.2.0", "1.1.0", ["no line 'version: 1.2.0'"]),
        ("CHANGELOG.md", "2030-01-31", "unreleased", ["'1.2.0 (unreleased)'", "date-released"]),
        ("skdiv/_version.py", "1.2.0", "1.2.0.dev0", ["not the version of a release", "CHANGELOG", "CITATION", "date"]),
    ],
)
def test_what_is_provisional_is_named(name, old, new, points):
    found = list(RELEASE["open_points"](TEXTS | {name: TEXTS[name].replace(old, new)}))
    assert len(found) == len(points), found
    assert all(point in message for point, message in zip(points, found, strict=True)), found


def test_the_links_of_a_description_are_absolute_and_those_of_the_readme_all_are_found():
    page = "![a](docs/languages.png) [b\nc](docs/choosing.md#d) [e](docs) [f](#g) [h](https://i) `x[0](j)`"
    files = "https://host/skdiv/{}/v1.2.0/docs"
    assert RELEASE["with_absolute_links"](page, "https://host/skdiv", "1.2.0") == (
        f"![a]({files.format('raw')}/languages.png) [b\nc]({files.format('blob')}/choosing.md#d) "
        f"[e]({files.format('tree')}) [f](#g) [h](https://i) `x[0](j)`"
    )
    readme = RELEASE["with_absolute_links"]((ROOT / "README.md").read_text("utf-8"), "https://host/skdiv", "1.2.0")
    assert not re.search(r"\]\((?!https://|#)[^()\s]*[./][^()\s]*\)", readme)
    assert not re.search(r"(src|href)=\"(?!https://|#)", readme)


def jobs_of_the_sdist():
    """The system, the Python and the versions of each job of the matrix."""
    matrix = WORKFLOW["jobs"]["sdist"]["strategy"]["matrix"]
    versions = {each["python"]: each["versions"] for each in matrix["include"] if "system" not in each}
    jobs = {(system, python, versions[python]) for system in matrix["system"] for python in matrix["python"]}
    return jobs | {(each["system"], each["python"], each["versions"]) for each in matrix["include"] if "system" in each}


def test_the_classifiers_name_the_pythons_that_are_tested():
    tested = {python for _, python, _ in jobs_of_the_sdist()}
    named = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)}
    assert named == tested
    oldest = min(tested, key=lambda python: int(python.removeprefix("3.")))
    assert PROJECT["requires-python"] == f">={oldest}"
    assert {(python, versions) for _, python, versions in jobs_of_the_sdist() if versions == "lowest"} == {
        (oldest, "lowest")
    }
    (setup,) = (step for step in WORKFLOW["jobs"]["everything"]["steps"] if "setup-python" in step.get("uses", ""))
    assert setup["with"]["python-version"] == oldest


def test_hosted_ci_runs_steps_of_the_script_on_three_systems_and_nothing_else():
    steps = set(re.findall(r"^(\w+)\(\) \{$", CI, flags=re.MULTILINE))
    commands = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run", 'bash .ci/run packages "$VERSIONS"']
    assert {"packages"} | {versions for _, _, versions in jobs_of_the_sdist()} <= steps
    assert len({system for system, _, _ in jobs_of_the_sdist()}) == 3
    (default,) = re.findall(r"\|\| set -- (.+)$", CI, flags=re.MULTILINE)
    helpers, as_readme = {"in_environment", "tests_of_sdist"}, {"newest"}
    assert set(default.split()) == steps - helpers - as_readme


def test_the_tests_that_are_left_out_on_other_systems_exist():
    (names,) = re.findall(r'^only_on_linux="(.+?)"$', CI, flags=re.MULTILINE | re.DOTALL)
    files = [ROOT / "tests" / f"test_{name}.py" for name in ("memory_of_a_process", "blas", "parallel")]
    tests = "\n".join(file.read_text("utf-8") for file in files)
    for name in re.split(r"\s+(?:\\\s+)?or\s+", names):
        assert f"\ndef {name}(" in tests, name


def test_the_lowest_versions_are_the_bounds_of_the_project():
    found = dict(line.split("==") for line in LOWEST["constraints"](PROJECT))
    assert found["numpy"] == "2.0.*"
    extras = PROJECT["optional-dependencies"]
    bounded = [*PROJECT["dependencies"], *(each for extra in LOWEST["EXTRAS"] for each in extras[extra])]
    assert set(LOWEST["EXTRAS"]) == {"dask", "fast", "plot", "test"}
    names = {re.match(r"[\w-]+", each)[0] for each in bounded} - {"skdiv"}
    assert found.keys() == names, "each has a lower bound"
