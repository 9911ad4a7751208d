package dev.edgedistil.core

import java.io.File

/**
 * Prints what this package reads, as JSON, for a test that knows what is due.
 *
 * Arguments: a file with a JSON array of texts, a folder for parts, and any number of model files.
 */
fun main(arguments: Array<String>) {
    val texts = parseJson(File(arguments[0]).readBytes(), "texts") as List<*>
    val folder = File(arguments[1])
    val files = arguments.drop(2).associateWith { describe(File(it), folder) }
    println(toJson(mapOf("rows" to texts.map { describe(textRow(it as String)) }, "files" to files)))
}

private fun describe(row: TextRow) = mapOf("values" to row.values.toList(), "is_cut" to row.isCut)

private fun describe(file: File, folder: File): Map<String, Any?> {
    val artifact =
        try {
            Artifact.read(file)
        } catch (error: ArtifactException) {
            return mapOf("error" to error.message)
        }
    val metadata = artifact.metadata
    val part = File(folder, "${file.name}.encoder").takeIf { artifact.encoder != null }
    part?.let(artifact::copyEncoder)
    return mapOf(
        "name" to metadata.name,
        "labels" to metadata.labels,
        "scheme" to metadata.scheme,
        "target" to metadata.target,
        "tolerance" to metadata.tolerance,
        "sequence_length" to metadata.tokenizer.sequenceLength,
        "pad_id" to metadata.tokenizer.padId,
        "hidden_dim" to metadata.hiddenDim,
        "has_fixed_lengths" to metadata.hasFixedLengths,
        "lengths" to metadata.encoderLengths?.toList(),
        "unknown" to metadata.unknownRule?.let { listOf(it.label, it.threshold) },
        "encoder" to part?.path,
        "golden_cases" to metadata.goldenCases.map { describe(it, metadata.labels) },
    )
}

private fun describe(case: GoldenCase, labels: List<String>) =
    mapOf(
        "text" to case.text,
        "text_pair" to case.textPair,
        "token_ids" to case.tokenIds.toList(),
        "probabilities" to case.probabilities.toList(),
        "ranking" to rank(labels, FloatArray(labels.size) { case.probabilities[it].toFloat() }).map { it.label },
    )

private fun toJson(value: Any?): String =
    when (value) {
        is Map<*, *> -> value.entries.joinToString(",", "{", "}") { "${toJson(it.key)}:${toJson(it.value)}" }
        is List<*> -> value.joinToString(",", "[", "]") { toJson(it) }
        is String -> value.map(::escaped).joinToString("", "\"", "\"")
        else -> value.toString()
    }

private fun escaped(it: Char) = if (it in ' '..'~' && it !in "\"\\") "$it" else "\\u%04x".format(it.code)
