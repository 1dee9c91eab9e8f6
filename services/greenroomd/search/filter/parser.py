"""Reads a filter by recursive descent, in time and depth that are bounded.

    filter     = [ all ]
    all        = any { "AND" any }
    any        = one { "OR" one }               OR binds tighter than AND, as AIP-160 says
    one        = "NOT" one | "(" all ")" | field operator operand

What fields, operators and operands there are stands in `fields.py`.
"""

from __future__ import annotations

from greenroomd.search.errors import FilterMalformed
from greenroomd.search.filter import fields
from greenroomd.search.filter.expression import (
    EVERYTHING,
    PRESENT,
    And,
    Expression,
    Not,
    Operand,
    Operator,
    Or,
)
from greenroomd.search.filter.tokens import Kind, Token, quote, tokens

DEEPEST = 20
"""Levels of parentheses and NOT."""

MOST_CONDITIONS = 50

KEYWORDS = ("AND", "OR", "NOT")
CONSTANTS = {"true": True, "false": False}


def parse(text: str) -> Expression:
    """Return the expression that a filter stands for; EVERYTHING for an empty one.

    Raises:
        FilterMalformed: with position and problem, for every text that is not a filter.
    """
    return _Parser(tokens(text, FilterMalformed)).run()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._next = 0
        self._conditions = 0

    def run(self) -> Expression:
        if self._peek().kind is Kind.END:
            return EVERYTHING
        expression = self._all(0)
        rest = self._peek()
        if rest.kind is Kind.CLOSE:
            raise FilterMalformed(rest.position, "this parenthesis closes nothing")
        if rest.kind is not Kind.END:
            raise FilterMalformed(rest.position, f"AND or OR is expected before {rest}{_keyword_hint(rest)}")
        return expression

    def _all(self, depth: int) -> Expression:
        parts = [self._any(depth)]
        while self._took_keyword("AND"):
            parts.append(self._any(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _any(self, depth: int) -> Expression:
        parts = [self._one(depth)]
        while self._took_keyword("OR"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _one(self, depth: int) -> Expression:
        token = self._peek()
        if depth > DEEPEST:
            raise FilterMalformed(token.position, f"parentheses and NOT may nest {DEEPEST} levels deep")
        if self._took_keyword("NOT"):
            return Not(self._one(depth + 1))
        if token.kind is Kind.OPEN:
            self._take()
            inside = self._all(depth + 1)
            closing = self._take()
            if closing.kind is not Kind.CLOSE:
                raise FilterMalformed(
                    closing.position,
                    f"AND, OR or ) is expected before {closing}; the parenthesis opened at {token.position}"
                    f"{_keyword_hint(closing)}",
                )
            return inside
        return self._condition()

    def _condition(self) -> Expression:
        name = self._take()
        if name.kind is not Kind.NAME or name.value in KEYWORDS:
            raise FilterMalformed(name.position, f"a field is expected, such as stage or metric.f1, not {name}")
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise FilterMalformed(name.position, f"a filter has at most {MOST_CONDITIONS} conditions")
        dataset = self._take() if self._peek().kind is Kind.DATASET else None
        slice = self._take() if self._peek().kind is Kind.SLICE else None
        field = fields.read_field(name, dataset, slice, FilterMalformed)
        sign = self._take()
        if sign.kind is not Kind.OPERATOR:
            problem = f"a comparison is expected after {quote(name.text)}, one of = != < <= > >= :"
            raise FilterMalformed(sign.position, problem)
        at = self._peek()
        operand = self._operand(str(sign.value))
        operator = Operator.EQUAL if sign.value == "!=" else Operator(sign.value)
        shown = name.text if len(name.text) <= 40 else name.text[:40] + "…"
        condition = fields.compare(field, operator, sign.position, operand, at.position, shown)
        return Not(condition) if sign.value == "!=" else condition

    def _operand(self, sign: str) -> Operand:
        token = self._take()
        match token.kind:
            case Kind.TEXT:
                return str(token.value)
            case Kind.NUMBER:
                return token.value
            case Kind.NAME if token.text in CONSTANTS:
                return CONSTANTS[token.text]
            case Kind.NAME if token.value not in KEYWORDS:
                raise FilterMalformed(token.position, f'a text stands in double quotes: "{token.text[:40]}"')
            case Kind.STAR if sign == ":":
                return PRESENT
            case Kind.STAR:
                raise FilterMalformed(token.position, "* follows : only, and means that there is a value")
        raise FilterMalformed(token.position, f'"text", a number, true or false is expected after {sign}, not {token}')

    def _took_keyword(self, keyword: str) -> bool:
        token = self._peek()
        took = token.kind is Kind.NAME and token.value == keyword
        if took:
            self._next += 1
        return took

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind is not Kind.END:
            self._next += 1
        return token


def _keyword_hint(token: Token) -> str:
    if token.kind is Kind.NAME and token.text.upper() in KEYWORDS:
        return f"; write {token.text.upper()} in capitals"
    return ""
