from html.parser import HTMLParser

from surgery.api import load
from surgery.report.html import lines_html, plan_html, recipe_html, result_html
from surgery.report.lines import line, piece


class Text(HTMLParser):
    """The text of some HTML, and whether its elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.text, self.open = "", []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        assert tag in {"pre", "span", "details", "summary"}
        assert all(name == "style" for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def text_of(html: str) -> str:
    parser = Text()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.text


def test_what_is_said_is_escaped():
    html = lines_html([line(piece('<script>alert("x")</script>', "title"), " & more"), line("second")])
    assert "<script" not in html
    assert text_of(html) == '<script>alert("x")</script> & more\nsecond'


def test_nothing_is_said_of_the_ground():
    """Dark and light notebooks alike: no background, and text in the colour of its surroundings."""
    html = lines_html([line("a")])
    assert "background:transparent" in html
    assert "color:inherit" in html


def test_recipes_plans_and_results():
    import torch

    recipe = load({"name": "<b>", "steps": [{"rename": "module.** -> **"}]})
    result = recipe.run(state_dict={"module.a": torch.ones(2)})
    assert text_of(recipe_html(recipe)).startswith("<b>")
    assert "module.a -> a" in text_of(plan_html(result.plan))
    assert text_of(result_html(result)).startswith("<b>  1 tensor, 2 values, 8 B, float32")
    for thing in (recipe, result.plan, result):
        assert text_of(thing._repr_html_()).startswith(repr(thing).splitlines()[0])
