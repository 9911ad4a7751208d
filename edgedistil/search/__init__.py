"""The smallest student that is almost as good as its teacher: one call from labelled texts to a file in a budget.

    settings   SearchSettings: budget, tolerance, teacher, students
    digests    digests of data, texts and presets, which decide what is made again
    stages     a folder of products, each with the digest of what it was made of
    starts     what a student starts from
    making     teacher, students, pruned students, files: each a stage
    choosing   limits and the smallest file within them; why there is none
    record     distillation.json as dataclasses, written and strictly read
    page       report.html
    run        find_student: all of it, and the directory that it writes

`edgedistil distil` is the command line of `find_student`.
"""
