"""The grammar of addresses is built when a schema asks for it, and not before."""

from __future__ import annotations

import subprocess
import sys

ASKED = """
import sys
from alphapulse_nb import grammar
grammar.postpone()
import jsonschema
print("lark" in sys.modules)
check = jsonschema.Draft202012Validator.FORMAT_CHECKER
for term, text in {terms}:
    print(check.conforms(text, term))
print(sys.modules["rfc3987_syntax"].__spec__ is not None)
grammar.postpone()
print(sys.modules["rfc3987_syntax"].__spec__ is not None)
"""
TERMS = [
    ("iri", "https://example.org/ä"),
    ("iri", "no address"),
    ("iri-reference", "/ä"),
    ("iri-reference", "<>"),
]


def test_it_is_built_when_it_is_asked_and_says_the_same() -> None:
    code = ASKED.format(terms=TERMS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        *("False", "True", "False", "True", "False"),
        *("True", "True"),
    ]


def test_the_command_starts_without_it() -> None:
    code = (
        "import sys; sys.argv = ['alphapulse', 'events', 'types', '--help'];"
        "import atexit; atexit.register(lambda: print('lark' in sys.modules));"
        "from alphapulse_nb.cli import main; import alphapulse_nb.grammar as g;"
        "main.__globals__['app'] = lambda: __import__('jsonschema'); main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
