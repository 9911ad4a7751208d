"""Distillation: a student learns the answers or the vectors of a teacher (https://arxiv.org/abs/1503.02531).

    answering          what all teachers have in common
    teacher            Teacher: a trained Keras classifier, asked for its logits
    file_teacher       FileTeacher: a .tflite file, asked for the same
    coverage           Coverage: the words of texts that a vocabulary has
    answer_cache       its answers, kept in files
    augmentation       new texts from training texts
    soft_targets       teacher, data and texts without labels -> SoftTargets of `edgedistil.training.loop.train`
    students           a smaller backbone that starts from a larger one
    from_teacher       a classifier that starts from its teacher, with a head fitted to its answers
    words              the words of texts that two vocabularies divide differently
    token_network      outputs of a backbone for every token
    sentence_training  a student learns the vectors of a sentence encoder

The loss is in `edgedistil.training.objective`.
"""
