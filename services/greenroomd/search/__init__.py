"""Search: an index over versions, built from the watches of the catalog and the lifecycle service, and queries on it.

What always holds:
- Rows and the position in the log they came from are committed together: killed at any moment, the index neither
  loses a change nor counts one twice.
- What one transaction of a source changed becomes visible at once.
- A hit is a version that the catalog has announced and not deleted; news of lifecycle about others is kept for later.
- The index owns nothing: dropped and rebuilt, it converges to the same answers.
"""
