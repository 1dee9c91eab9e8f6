"""The filter language: text to a checked expression. docs/search.md gives the grammar.

    tokens.py ──> parser.py ──> expression.py
                     └─ fields.py: what each field is and may be compared with

What leaves here is well typed and bounded in size, so the store turns every expression into SQL without a failure.
"""
