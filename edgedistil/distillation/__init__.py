"""Distillation: a student learns the answers of a teacher (https://arxiv.org/abs/1503.02531).

    teacher         Teacher: a trained classifier, asked for its logits
    answer_cache    its answers, kept in files
    augmentation    new texts from training texts
    soft_targets    teacher, data and texts without labels -> the SoftTargets of `edgedistil.training.loop.train`

The loss is in `edgedistil.training.objective`.
"""
