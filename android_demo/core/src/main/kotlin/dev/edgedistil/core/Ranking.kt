package dev.edgedistil.core

/** A label and its probability, from 0 to 1. */
data class Score(val label: String, val probability: Float)

/** All labels, the most probable first; labels of equal probability stay in the model's order. */
fun rank(labels: List<String>, probabilities: FloatArray): List<Score> {
    require(labels.size == probabilities.size) { "There are ${labels.size} labels and ${probabilities.size} scores." }
    return labels.mapIndexed { i, label -> Score(label, probabilities[i]) }.sortedByDescending { it.probability }
}
