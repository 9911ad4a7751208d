package dev.edgedistil.core

import kotlin.math.abs
import kotlin.math.max

/** This device computes something else than the Keras classifier did. */
class GoldenMismatch(message: String) : Exception(message)

/**
 * A replay that went well.
 *
 * @property replayed golden cases that were compared.
 * @property total golden cases that the file has; those that do not fit into the input were left out.
 * @property largestDifference of a probability.
 */
data class Replay(val replayed: Int, val total: Int, val largestDifference: Double)

/**
 * Compares golden cases with what a model answers here.
 *
 * Token ids must be equal. Probabilities may differ by the file's tolerance, and the label must be the same unless the
 * two best golden probabilities are closer to each other than that.
 *
 * @throws GoldenMismatch the first case that differs.
 */
fun replayGoldenCases(metadata: Metadata, model: TextModel): Replay {
    val fitting = metadata.goldenCases.filter(::fits)
    val differences = fitting.map { replay(it, model, metadata.tolerance) }
    return Replay(fitting.size, metadata.goldenCases.size, differences.maxOrNull() ?: 0.0)
}

/** Whether a case's bytes, and the token ids that these may become, fit into a row. */
private fun fits(case: GoldenCase): Boolean {
    val pairBytes = case.textPair?.encodeToByteArray()?.size ?: return !textRow(case.text).isCut
    return case.text.encodeToByteArray().size + pairBytes + 1 <= MAX_TEXT_BYTES
}

private fun replay(case: GoldenCase, model: TextModel, tolerance: Double): Double {
    val rows = textRow(case.text) to case.textPair?.let(::textRow)
    val tokenIds = model.tokenIds(rows.first, rows.second)
    if (!tokenIds.contentEquals(case.tokenIds)) {
        throw mismatch(case, "token ids", case.tokenIds.toList(), tokenIds.toList())
    }
    val received = model.probabilities(rows.first, rows.second)
    val difference = difference(case.probabilities, received)
    val isSameLabel = received.isNotEmpty() && best(received.map { it.toDouble() }) == best(case.probabilities.toList())
    if (!(difference <= tolerance) || !(isSameLabel || isCloseCall(case, tolerance))) {
        throw mismatch(case, "probabilities (tolerance $tolerance)", case.probabilities.toList(), received.toList())
    }
    return difference
}

/** NaN, which is in no tolerance, if there is one; infinite where the counts differ. */
private fun difference(expected: DoubleArray, received: FloatArray): Double {
    if (expected.size != received.size) return Double.POSITIVE_INFINITY
    return expected.indices.fold(0.0) { largest, i -> max(largest, abs(received[i] - expected[i])) }
}

private fun best(probabilities: List<Double>) = probabilities.indices.maxByOrNull { probabilities[it] }

private fun isCloseCall(case: GoldenCase, tolerance: Double): Boolean {
    val ordered = case.probabilities.sortedDescending()
    return ordered.size > 1 && ordered[0] - ordered[1] < tolerance
}

private fun mismatch(case: GoldenCase, what: String, expected: List<Number>, received: List<Number>) =
    GoldenMismatch(
        "other $what than the model was verified with, for the text \"${case.text}\". " +
            "Expected: $expected. Received: $received.",
    )
