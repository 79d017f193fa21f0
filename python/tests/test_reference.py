"""The page of the documentation that is made of the type stubs."""

import ast
import os
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).parents[2]
STUB = REPOSITORY / "python/mod_wsgi/__init__.pyi"
PAGE = REPOSITORY / "docs/python-api.md"
UPDATE = "UPDATE_PYTHON_API=1 python -m pytest python/tests/test_reference.py"

HEAD = f"""# Python API

What `import mod_wsgi` gives an application inside a server. Outside there is the package alone, without these names. This page is made of the type stubs:
`{UPDATE}`.
"""


def sentences(text):
    """A docstring as Markdown: its lines joined, and what it quotes or refers to as code."""
    text = re.sub(r":\w+:`([^`]+)`", r"`\1`", " ".join((text or "").split()))
    return text.replace("``", "`")


def told(node):
    """The docstring within a class or function."""
    return sentences(ast.get_docstring(node))


def names_itself(node):
    return not getattr(node, "name", getattr(getattr(node, "target", None), "id", "_")).startswith("_")


def signature(node):
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}".replace("_Callback", "Callable")


def attributes(body):
    """Each name with its type and the docstring below it."""
    for node, below in zip(body, [*body[1:], None]):
        if isinstance(node, ast.AnnAssign) and names_itself(node):
            is_told = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            yield node.target.id, ast.unparse(node.annotation), sentences(below.value.value) if is_told else ""


def table(head, rows):
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def page():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and names_itself(node)]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and names_itself(node)]
    parts = [HEAD, "## Attributes\n", table(["name", "type", ""], [[f"`{name}`", f"`{of}`", text] for name, of, text in attributes(tree.body)])]
    parts += ["## Functions\n", table(["function", ""], [[f"`{signature(node)}`", told(node)] for node in functions])]
    parts += ["## Classes and dictionaries\n", "Dictionaries are shown with their keys; there is no such name in the module.\n"]
    for node in classes:
        is_dict = any(ast.unparse(base) == "TypedDict" for base in node.bases)
        bases = "" if is_dict else ", ".join(ast.unparse(base) for base in node.bases)
        parts += [f"### {node.name}\n", f"{'A dictionary. ' if is_dict else ''}{told(node)}{f' A `{bases}`.' if bases else ''}\n"]
        rows = [[f"`{name}`", f"`{of}`"] for name, of, _ in attributes(node.body)]
        if rows:
            parts.append(table(["key" if is_dict else "attribute", "type"], rows))
        methods = [[f"`{signature(method)}`"] for method in node.body if isinstance(method, ast.FunctionDef)]
        if methods:
            parts.append(table(["member"], methods))
    return "\n".join(parts)


def test_the_page_of_the_documentation_is_that_of_the_stubs():
    if "UPDATE_PYTHON_API" in os.environ:
        PAGE.write_text(page(), encoding="utf-8")
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    assert written == page(), f"docs/python-api.md is stale: {UPDATE}"


def test_everything_in_the_stubs_is_explained():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    silent = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and names_itself(node) and not told(node)]
    silent += [name for name, _, text in attributes(tree.body) if not text]
    assert silent == []
