"""Who reaches whom, and why: read from the normal form of `grader.policy` only.

- `verdict`   the plain data: `Flow`, `Decision`, `Verdict`
- `world`     objects to a `World` that answers questions
- `matrix`    all pairs
- `explain`   hop by hop: the deciding policy and rule, the near misses
"""
