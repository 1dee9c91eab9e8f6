"""Artifacts: the bytes of models, stored once by content and verified always.

What always holds:
- Nothing of an upload can be read before all of its blob is here, has its digest and size, and a manifest names it.
- What a session reports as committed has been fsynced, and then recorded in its row.
- An artifact names only blobs that its namespace holds; the database refuses to drop a blob that one names.
- Having a digest gives nothing: a blob that only other namespaces hold is answered like one that does not exist.

Namespaces belong to the catalog, and this service does not ask it: bytes may arrive before their namespace exists.
"""
