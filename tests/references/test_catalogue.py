"""Lists and indexes of the recipes of a directory, a repository, a package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from surgery.cli.main import command
from surgery.library import shipped

ONE = """\
surgery: 1
name: one | two
description: Takes `module.` off, <b>all</b> of it.
params:
  checkpoint: {type: path, help: a checkpoint}
  prefix: {type: string, default: module, help: what goes}
  heads: {type: integer, from: "$checkpoint/config.json#/heads"}
source: $checkpoint
steps:
  - rename: "$prefix.** -> **"
  - check: {count: {"**.q": $heads}}
"""
FILES = {
    "one.yaml": ONE,
    "inner/two.yml": "source: x.pt\noutput: y.pt\n",
    "broken.yaml": "steps: [{renam: x}]\n",
    "workflow.yaml": "on: push\njobs: {test: {runs-on: x}}\n",
    "data.yaml": "- 1\n- 2\n",
    "README.md": "x",
}


def run(*words: str, status: int = 0) -> str:
    ended = CliRunner().invoke(command, list(words))
    assert ended.exit_code == status, ended.output
    return ended.stdout


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        file = tmp_path / "shelf" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "shelf"


def names(listing: str) -> list[str]:
    return [line.split()[0] for line in listing.splitlines()]


def test_a_directory(directory):
    assert names(run("list", "shelf")) == ["shelf/broken.yaml", "shelf/inner/two.yml", "shelf/one.yaml"]


def test_a_directory_with_all_kinds_of_files(directory):
    """What is no text, or too long for a recipe, is no reason to show nothing; what is hidden belongs to programs."""
    (directory / "long.yaml").write_text("#" * 2_000_000)
    (directory / "binary.yaml").write_bytes(b"steps: \0")
    (directory / "lost.yaml").symlink_to("nowhere")
    (directory / ".github").mkdir()
    (directory / ".github/action.yml").write_text("steps: []")
    (directory / "conda.yaml").write_text("source: {url: x}\nbuild: {number: 0}\n")
    listed = run("list", "shelf")
    assert names(listed) == [f"shelf/{name}" for name in ("binary.yaml", "broken.yaml", "inner/two.yml", "one.yaml")]
    assert "U+0000" in listed
    assert "long.yaml" not in run("test", "shelf", status=2)


def test_a_repository(repository, http_server):
    made = repository("recipes")
    made.commit(FILES, tag="v1")
    made.commit({"later.yaml": "steps: []"})
    for base in (made.file_reference, f"{http_server}/recipes/.git"):
        assert names(run("list", f"{base}@v1")) == [
            f"{base}//{name}@v1" for name in ("broken.yaml", "inner/two.yml", "one.yaml")
        ]
        listed = names(run("list", base))
        assert listed[-2] == f"{base}//later.yaml"
        # what is listed is what names it
        assert run("copy", f"{base}//one.yaml@v1") == ONE


def test_a_package(directory, tmp_path, monkeypatch):
    """Found by its entry point, without being imported."""
    package = tmp_path / "site" / "my_package"
    (package / "recipes").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "recipes" / "one.yaml").write_text(ONE)
    use = "source: x.pt\nsteps: [use: {recipe: one.yaml, params: {checkpoint: x}}]\n"
    (package / "recipes" / "use.yaml").write_text(use)
    info = tmp_path / "site" / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[surgery.recipes]\nmine = my_package.recipes\nlost = no_package.x\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert [point.name for point in metadata.entry_points(group="surgery.recipes")] == ["mine", "lost"]
    assert names(run("list", "pkg:mine")) == ["pkg:mine/one.yaml", "pkg:mine/use.yaml"]
    assert run("copy", "pkg:mine/one.yaml") == ONE
    assert run("check", "pkg:mine/use.yaml").split() == ["pkg:mine/use.yaml", "ok"]
    run("list", "pkg:lost", status=3)
    run("list", "pkg:min", status=3)


def test_the_shipped_ones():
    assert names(run("list", "builtin:")) == [f"builtin:{name}" for name in shipped()]


def test_what_is_no_place(directory):
    run("list", "shelve", status=2)
    run("list", "github:org", status=2)
    run("docs", "shelve", status=3)


def test_an_index(directory, golden):
    golden("references/index", run("docs", "shelf", status=1))


def test_an_index_says_how_steps_without_a_source_are_used(directory, monkeypatch):
    """Such a recipe cannot be run from the command line; and a directory has its name from inside too."""
    monkeypatch.chdir(directory / "inner")
    Path("steps.yaml").write_text('params: {x: {type: string}}\nsteps: [{rename: "$x -> y"}]')
    page = run("docs", ".")
    assert page.startswith("# inner\n")
    assert "surgery run two.yml\n" in page
    assert "surgery run steps.yaml" not in page
    assert '```yaml\nsteps:\n  - use:\n      recipe: steps.yaml\n      params: {x: "…"}\n```' in page


def test_an_index_in_html(directory):
    run("docs", "shelf", "-o", "index.html", "--title", "Ours <&>", status=1)
    page = Path("index.html").read_text()
    assert "<title>Ours &lt;&amp;&gt;</title>" in page
    assert "<b>all</b>" not in page
    assert page.count("<h2 ") == 2
    run("docs", "shelf", "-o", "index.html", status=3)


def test_an_index_shows_what_a_recipe_says_and_does_none_of_it(directory):
    name = "evil;$(touch x).yaml"
    says = r'"~~~\u001b[31m ![x](javascript:y) &lt;"'
    (directory / name).write_text(f"name: {says}\ndescription: {says}\nsource: x.pt\nsteps: []\n")
    page = run("docs", "shelf", status=1)
    assert f"$ surgery run 'shelf/{name}'\n" in page
    assert r"\~\~\~\\x1b\[31m !\[x\](javascript:y) \&lt;" in page
    run("docs", "shelf", "-o", "index.html", status=1)
    page = Path("index.html").read_text()
    assert "\x1b" not in page
    assert "&amp;lt;" in page


def test_a_copy_is_the_text_as_it_stands(directory):
    text = "steps: []  \r\n# café \N{ZERO WIDTH JOINER} \t\n# no end"
    (directory / "odd.yaml").write_bytes(text.encode())
    ended = CliRunner().invoke(command, ["copy", "shelf/odd.yaml"])
    assert ended.stdout_bytes == text.encode()


def test_a_copy_is_not_written_over_a_file(directory):
    run("copy", "shelf/one.yaml", "-o", "mine.yaml")
    assert Path("mine.yaml").read_text() == ONE
    run("copy", "shelf/one.yaml", "-o", "mine.yaml", status=3)
    run("copy", "shelf/one.yaml", "-o", "mine.yaml", "--force")
