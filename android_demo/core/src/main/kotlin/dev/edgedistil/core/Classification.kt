package dev.edgedistil.core

/**
 * A model's answer for a text.
 *
 * @property scores all labels, the most probable first.
 * @property isCut whether the end of the text was not read, because it has more than [MAX_TEXT_BYTES] bytes.
 * @property unknown the model's name for texts with none of its labels, if this is one.
 */
data class Classification(val scores: List<Score>, val isCut: Boolean, val unknown: String?) {
    /** The most probable label. */
    val label get() = scores.first().label
}

/**
 * Labels a text. It needs no preparation; its bytes are put into a row of the model's default length.
 *
 * One text at a time: two threads must not call it at once.
 */
fun VerifiedModel.classify(text: String): Classification {
    val row = textRow(text)
    val scores = rank(metadata.labels, model.probabilities(row))
    val unknown = metadata.unknownRule?.takeIf { rule -> model.unknownScore?.let { it > rule.threshold } == true }
    return Classification(scores, row.isCut, unknown?.label)
}
