"""The catalog: namespaces, models, and versions with their facts.

What always holds:
- The versions of a model are numbered 1, 2, 3… without gaps, in the order in which they were registered; a number
  is never given twice, also after a deletion.
- A version's artifact and facts never change. Description and tags do, guarded by an etag.
- A name belongs to one model for ever: those that it had before lead to it for a time, and then say its name.
- A version that holds a stage or an alias cannot be deleted.
"""
