"""STAR: blocks of pairs and of tables in plain text, as RELION writes them."""

import re

from volkit.errors import SourceError

Rows = list[list[str]]
Block = dict[str, list[str]]
"""Columns by name, without the underscore; a pair is a column of one."""

_WORD = re.compile(r"'(?:[^']|'(?=\S))*'(?=\s|$)|\"(?:[^\"]|\"(?=\S))*\"(?=\s|$)|\S+")
_PLAIN = re.compile(r"[^\s'\"#_][^\s]*")


def parse_star(text: str, *, uri: str) -> dict[str, Block]:
    r"""Read the blocks of a STAR file.

    Parameters
    ----------
    text : str
        The file.
    uri : str
        For messages.

    Returns
    -------
    dict of str to Block
        By the name behind ``data_``.

    Raises
    ------
    SourceError
        If a row has another number of values than its table has columns, or a line belongs to
        nothing.

    Examples
    --------
    >>> parse_star("data_a\n_one 1\ndata_b\nloop_\n_x #1\n_y #2\n1 'two words'\n", uri="f")
    {'a': {'one': ['1']}, 'b': {'x': ['1'], 'y': ['two words']}}
    """
    blocks: dict[str, Block] = {}
    block: Block | None = None
    names: list[str] = []
    looping = False
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line)
        if not words:
            continue
        if words[0].startswith("data_") and len(words) == 1:
            block, names, looping = blocks.setdefault(words[0][5:], {}), [], False
        elif block is None:
            raise SourceError(f"{uri}: line {number} stands before any data_ block; mend the file")
        elif words[0] == "loop_":
            looping, names = True, []
        elif words[0].startswith("_") and not (looping and any(block[n] for n in names)):
            _add_name(block, names, words, looping, place=f"{uri}: line {number}")
        elif looping and len(words) == len(names):
            for name, word in zip(names, words, strict=True):
                block[name].append(_bare(word))
        else:
            raise SourceError(
                f"{uri}: line {number} has {len(words)} values, its table {len(names)} columns; "
                "it may be cut off: write it again"
            )
    return blocks


def _add_name(block: Block, names: list[str], words: list[str], looping: bool, place: str) -> None:
    name = words[0][1:]
    if looping:
        names.append(name)
        block[name] = []
    elif len(words) == 2:
        block[name] = [_bare(words[1])]
    else:
        raise SourceError(f"{place} gives {words[0]} {len(words) - 1} values; a pair has one")


def format_star(blocks: dict[str, Block]) -> str:
    """Write blocks, each as a table.

    Parameters
    ----------
    blocks : dict of str to Block
        By name; columns of one length.

    Returns
    -------
    str
    """
    parts = []
    for name, block in blocks.items():
        lines = [f"\ndata_{name}\n", "loop_"]
        lines += [f"_{column} #{number}" for number, column in enumerate(block, 1)]
        lines += [" ".join(map(_quoted, row)) for row in zip(*block.values(), strict=True)]
        parts.append("\n".join(lines) + "\n")
    return "# written by volkit\n" + "\n".join(parts)


def _words(line: str) -> list[str]:
    found = []
    for word in _WORD.findall(line):
        if word.startswith("#"):
            break
        found.append(word)
    return found


def _bare(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else word


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value) and not value.startswith(("data_", "loop_")):
        return value
    return f"'{value}'" if "'" not in value else f'"{value}"'
