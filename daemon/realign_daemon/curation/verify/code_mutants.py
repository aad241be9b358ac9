"""Code mutants: programs that differ from a reference in one place and should fail its tests. Standard library only."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

MAX_MUTANTS = 8
_KINDS = (ast.Compare, ast.BinOp, ast.Constant, ast.Return, ast.Expr)
_OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
}  # fmt: skip


def mutants(reference: str) -> tuple[str, ...]:
    """At most MAX_MUTANTS programs, the same every time: from every kind of change some, small changes first.

    Kinds: a comparison turned, an operator exchanged, a number or text changed, a returned value or a call dropped.
    None when the reference is no Python or has nothing to change.
    """
    try:
        tree = ast.parse(reference)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    kinds = [list(_changed(tree, kind)) for kind in _KINDS]
    rounds = range(max(len(kind) for kind in kinds))
    found = (kind[number] for number in rounds for kind in kinds if number < len(kind))
    return tuple(mutant for mutant in dict.fromkeys(found) if mutant != ast.unparse(tree))[:MAX_MUTANTS]


def _changed(tree: ast.Module, kind: type[ast.AST]) -> Iterator[str]:
    places = [place for place, node in enumerate(ast.walk(tree)) if isinstance(node, kind)]
    for place in places[:MAX_MUTANTS]:
        mutant = copy.deepcopy(tree)
        if _change(next(node for number, node in enumerate(ast.walk(mutant)) if number == place)):
            yield ast.unparse(ast.fix_missing_locations(mutant))


def _change(node: ast.AST) -> bool:
    """Whether there was something to change in the node, which is then done."""
    match node:
        case ast.Compare(ops=[first, *_]) if type(first) in _OTHER_COMPARISON:
            node.ops[0] = _OTHER_COMPARISON[type(first)]()
        case ast.BinOp(op=operator) if type(operator) in _OTHER_OPERATOR:
            node.op = _OTHER_OPERATOR[type(operator)]()
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() | float() as value):
            node.value = value + 1
        case ast.Constant(value=str() as value):
            node.value = f"{value}x"
        case ast.Return(value=ast.expr()) | ast.Expr(value=ast.Call()):
            node.value = ast.Constant(value=None)
        case _:
            return False
    return True
