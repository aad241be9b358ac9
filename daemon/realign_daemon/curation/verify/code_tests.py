"""Code tests: what is asked of a program and what must come back, taken apart so that the answers can stay outside.

Two ways to write tests. Python: top-level statements and assertions `assert f(2) == 4`, also in a function
`check(candidate)` that is called at the end, or in a loop over literals. JSON: a list of `{"stdin", "stdout"}`.
The sandbox is given the left sides and sends back values; the right sides never enter it. An assertion whose right side
is no literal would have to be judged by the program's own process, and is refused.

Left open: a program that knows the tests from elsewhere can hold their answers, and a True or False can be guessed;
`answers_to_guesses` finds tests that one constant passes.
"""

from __future__ import annotations

import ast
import copy
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast

from realign_daemon.curation.verify.sandbox import Step

MAX_CHARACTERS = 100_000
MAX_STEPS = 1_000
SHOWN_STEPS = 5  # own choice: enough to see names and kinds of arguments
SCRIPT = "# reads from standard input and prints to standard output"
_RELATIVE_TOLERANCE = 1e-9  # what math.isclose takes when it is told nothing


class BadTests(Exception):
    """The tests cannot be judged from outside the program's process; the text says why. Never leaves this package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A value that must come back: equal, or of the same type and equal ("is"), or within a tolerance."""

    how: Literal["equal", "same", "close"]
    value: object
    relative: float = 0.0
    absolute: float = 0.0

    def accepts(self, given: object) -> bool:
        """Whether the value will do, compared as Python does."""
        if self.how == "close":
            numbers = isinstance(given, int | float) and isinstance(self.value, int | float)
            return numbers and math.isclose(
                cast("float", given), cast("float", self.value), rel_tol=self.relative, abs_tol=self.absolute
            )
        return (self.how == "equal" or type(given) is type(self.value)) and bool(given == self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTests:
    """Steps to follow the program, and what the values of the asking ones must be, in order."""

    steps: tuple[Step, ...]
    expected: tuple[Expected, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a script reads and what it must print."""

    stdin: str
    stdout: str


Tests: TypeAlias = CallTests | tuple[Case, ...]
_Names: TypeAlias = Mapping[str, ast.expr]
_Node = TypeVar("_Node", bound=ast.AST)
GUESSES: tuple[object, ...] = (None, True, False, 0, 1, -1, "", [], {}, ())
PRINTED_GUESSES = ("", "0", "1", "-1", "YES", "NO", "Yes", "No", "True", "False")


def read_tests(tests: str) -> Tests:
    """The tests, taken apart.

    Raises:
        BadTests: they are of another kind, there are none, or one cannot be judged from outside.
    """
    if len(tests) > MAX_CHARACTERS:
        raise BadTests(f"the tests are longer than {MAX_CHARACTERS} characters")
    try:
        if tests.lstrip().startswith("["):
            return _cases(json.loads(tests))
        return _CallReader(ast.parse(tests)).read()
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTests(f"the tests are neither Python nor JSON: {type(error).__name__}") from error


def calls(tests: str) -> str:
    """How a solution will be used: the first steps of its tests, without what must come back. "" of unusable tests."""
    try:
        taken_apart = read_tests(tests)
    except BadTests:
        return ""
    if not isinstance(taken_apart, CallTests):
        return SCRIPT
    return "\n".join(step.source for step in taken_apart.steps[:SHOWN_STEPS])


def printed(text: str) -> list[str]:
    """The lines that a script printed, without white space at their ends and empty ones at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def answers_to_guesses(tests: Tests) -> bool:
    """Whether one constant, such as True or an empty list, passes them all: they tell nothing then."""
    if isinstance(tests, CallTests):
        return any(all(expected.accepts(guess) for expected in tests.expected) for guess in GUESSES)
    return any(all(printed(case.stdout) == [guess] for case in tests) for guess in PRINTED_GUESSES)


def _cases(listed: Iterable[object]) -> tuple[Case, ...]:
    cases: list[Case] = []
    for case in listed:
        match case:
            case {"stdin": str(stdin), "stdout": str(stdout)}:
                cases.append(Case(stdin=stdin, stdout=stdout))
            case _:
                raise BadTests('a test in JSON is {"stdin": text, "stdout": text}')
    if not cases:
        raise BadTests("there are no tests")
    return tuple(cases)


class _CallReader:
    """Reads Python tests: statements become steps, assertions become asking steps and expected values."""

    def __init__(self, module: ast.Module) -> None:
        self._module = module
        self._known: dict[str, ast.expr] = {}  # names with literal values, which may be answers
        self._checks: dict[str, ast.FunctionDef] = {}
        self._statements: list[ast.stmt | None] = []  # None where a value is asked for
        self._asked: list[tuple[ast.expr, Expected]] = []

    def read(self) -> CallTests:
        self._block(self._module.body, {})
        if not self._asked:
            raise BadTests("there are no assertions")
        if len(self._statements) > MAX_STEPS:
            raise BadTests(f"there are more than {MAX_STEPS} steps")
        kept = _without_answers(self._statements, [asked for asked, _ in self._asked])
        asked = iter(self._asked)
        steps = tuple(
            Step(source=ast.unparse(statement), is_value=False)
            if statement is not None
            else Step(source=ast.unparse(next(asked)[0]), is_value=True)
            for statement in kept
        )
        return CallTests(steps=steps, expected=tuple(expected for _, expected in self._asked))

    def _block(self, body: Iterable[ast.stmt], names: _Names) -> None:
        for statement in body:
            self._statement(statement, names)

    def _statement(self, statement: ast.stmt, names: _Names) -> None:
        match statement:
            case ast.Assert(test=test):
                self._assertion(test, names)
            case ast.For(target=target, iter=iterated, body=body, orelse=[]) if _asserts(statement):
                for value in cast("Iterable[object]", self._literal(iterated, names)):
                    self._block(body, {**names, **_bound(target, value)})
            case ast.FunctionDef(name=name, args=ast.arguments(args=[_])) if _asserts(statement):
                self._checks[name] = statement
            case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[candidate])) if name in self._checks:
                check = self._checks[name]
                self._block(check.body, {**names, check.args.args[0].arg: candidate})
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case _ if _asserts(statement):
                raise BadTests(f"an assertion within {type(statement).__name__} is not taken apart")
            case _:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    self._known[statement.targets[0].id] = statement.value
                self._statements.append(_with_names(statement, names))

    def _assertion(self, test: ast.expr, names: _Names) -> None:
        match test:
            case ast.BoolOp(op=ast.And(), values=values):
                for value in values:
                    self._assertion(value, names)
                return
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                asked, value = self._sides(left, right, names)
                expected = Expected(how="equal", value=value)
            case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None | bool() as value)]):
                asked, expected = left, Expected(how="same", value=value)
            case ast.Compare(
                left=ast.Call(func=ast.Name(id="abs"), args=[ast.BinOp(left=left, op=ast.Sub(), right=right)]),
                ops=[ast.Lt() | ast.LtE()],
                comparators=[tolerance],
            ):
                asked, value = self._sides(left, right, names)
                expected = Expected(how="close", value=value, absolute=self._number(tolerance, names))
            case ast.Call(
                func=ast.Name(id="isclose") | ast.Attribute(value=ast.Name(id="math"), attr="isclose"),
                args=[left, right],
                keywords=keywords,
            ):
                asked, value = self._sides(left, right, names)
                given = {keyword.arg: self._number(keyword.value, names) for keyword in keywords}
                expected = Expected(
                    how="close",
                    value=value,
                    relative=given.get("rel_tol", _RELATIVE_TOLERANCE),
                    absolute=given.get("abs_tol", 0.0),
                )
            case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as asked):
                asked, expected = _truth(asked), Expected(how="same", value=False)
            case ast.Call():
                asked, expected = _truth(test), Expected(how="same", value=True)
            case _:
                raise BadTests(f"nothing outside can judge `assert {ast.unparse(test)[:80]}`; compare with a literal")
        self._statements.append(None)
        self._asked.append((_with_names(asked, names), expected))

    def _sides(self, left: ast.expr, right: ast.expr, names: _Names) -> tuple[ast.expr, object]:
        """The side that is asked of the program and the value of the other one."""
        for asked, answer in ((left, right), (right, left)):
            try:
                value = self._literal(answer, names)
            except BadTests:
                continue
            try:
                self._literal(asked, names)
            except BadTests:
                return asked, value
            if isinstance(asked, ast.Name) and asked.id not in names:
                return asked, value  # a variable that the program's calls may have changed
        raise BadTests(f"`{ast.unparse(left)[:60]}` and `{ast.unparse(right)[:60]}` are no question and its answer")

    def _number(self, node: ast.expr, names: _Names) -> float:
        return float(cast("float", self._literal(node, names)))

    def _literal(self, node: ast.expr, names: _Names) -> object:
        filled = _with_names(_with_names(node, names), self._known)
        try:
            return ast.literal_eval(filled)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise BadTests(f"`{ast.unparse(node)[:80]}` is no literal") from error


def _without_answers(statements: Sequence[ast.stmt | None], asked: Sequence[ast.expr]) -> list[ast.stmt | None]:
    """The statements without assignments to names that no question and no other statement uses."""
    used = {
        name.id
        for node in (*asked, *(statement for statement in statements if statement is not None))
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)
    }
    return [
        statement
        for statement in statements
        if not (
            isinstance(statement, ast.Assign)
            and all(isinstance(target, ast.Name) and target.id not in used for target in statement.targets)
        )
    ]


def _asserts(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(statement))


def _bound(target: ast.expr, value: object) -> dict[str, ast.expr]:
    match target:
        case ast.Name(id=name):
            return {name: ast.parse(repr(value), mode="eval").body}
        case ast.Tuple(elts=parts) if isinstance(value, list | tuple) and len(cast("list[Any]", value)) == len(parts):
            pairs = zip(parts, cast("list[Any]", value), strict=True)
            return {name: node for part, item in pairs for name, node in _bound(part, item).items()}
        case _:
            raise BadTests(f"a loop over `{ast.unparse(target)[:80]}` is not taken apart")


def _truth(asked: ast.expr) -> ast.expr:
    return ast.Call(func=ast.Name(id="bool", ctx=ast.Load()), args=[asked], keywords=[])


def _with_names(node: _Node, names: _Names) -> _Node:
    return cast("_Node", _Filling(names).visit(copy.deepcopy(node))) if names else node


class _Filling(ast.NodeTransformer):
    """Puts expressions for names."""

    def __init__(self, names: _Names) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The expression for the name, where it is read."""
        return self._names.get(node.id, node) if isinstance(node.ctx, ast.Load) else node
