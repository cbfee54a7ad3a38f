"""Runs inside every kernel before its first cell: an `assert` that fails says what its two sides were.

pytest rewrites asserts in the same way, but to import that takes each kernel a quarter of a second of processor, for
what no run needs that succeeds.

It stands alone, since it is copied to where kernels start.
"""


def _show_asserted() -> None:
    import ast
    import builtins
    import itertools
    import re

    from IPython import get_ipython

    opaque = re.compile(r"([0-9A-Za-z+/]{6})[0-9A-Za-z+/]{34,}={0,2}")
    """Ciphertexts, hashes and tokens: the beginning tells one from another, and lets nobody in."""
    longest = 1000

    class Seen:
        """What the sides of the latest assert were, by their source."""

        def __init__(self) -> None:
            self.values: dict[str, object] = {}
            self.latest = 0

        def __call__(self, number: int, source: str, value: object) -> object:
            """Note a side of assert `number`, and return it."""
            if number != self.latest:  # an assert may call a function that has one, too
                self.latest, self.values = number, {}
            self.values[source] = value
            return value

        def told(self, message: object = "") -> str:
            """Return the author's words, and below them each side."""
            sides = ((source, opaque.sub(r"\1…", repr(value))) for source, value in self.values.items())
            shown = (f"    {source}: {said[:longest]}{'…' * (len(said) > longest)}" for source, said in sides)
            return "\n".join([str(message), *shown])

    class Shown(ast.NodeTransformer):
        """Notes the sides of each assert; what is joined by `and` becomes an assert each."""

        numbers = itertools.count(1)

        def visit_Assert(self, node: ast.Assert) -> list[ast.Assert]:
            match node.test:
                case ast.BoolOp(op=ast.And(), values=joined):
                    return [self._one(test, node) for test in joined]
                case test:
                    return [self._one(test, node)]

        def _one(self, test: ast.expr, node: ast.Assert) -> ast.Assert:
            number = next(self.numbers)
            match test:
                case ast.Compare():
                    test.left = self._noted(number, test.left)
                    test.comparators = [self._noted(number, side) for side in test.comparators]
                case ast.UnaryOp(op=ast.Not()):
                    test.operand = self._noted(number, test.operand)
                case _:
                    test = self._noted(number, test)
            told = ast.Attribute(ast.Name("__seen__", ast.Load()), "told", ast.Load())
            message = ast.Call(told, [node.msg] if node.msg else [], [])
            return ast.fix_missing_locations(ast.copy_location(ast.Assert(test, message), node))

        def _noted(self, number: int, side: ast.expr) -> ast.expr:
            try:
                ast.literal_eval(side)
            except ValueError:
                noted = [ast.Constant(number), ast.Constant(ast.unparse(side)), side]
                return ast.copy_location(ast.Call(ast.Name("__seen__", ast.Load()), noted, []), side)
            return side  # it stands there already

    builtins.__seen__ = Seen()  # type: ignore[attr-defined]  # where no cell sees it
    if shell := get_ipython():
        shell.ast_transformers.append(Shown())


_show_asserted()
del _show_asserted  # a reader's notebook starts without it, so this one does too
