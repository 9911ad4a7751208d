package dev.edgedistil.core

private const val METADATA_MEMBER = "edgedistil.json"
private const val SCHEMA_VERSION = 1L
private val METADATA_KEYS =
    setOf(
        "name", "labels", "tokenizer", "quantization", "target", "golden_cases", "tolerance", "parity", "model",
        "encoder", "preparation", "versions", "oldest_runtime", "flatbuffer_size", "flatbuffer_sha256",
        "schema_version",
    )
private val TOKENIZER_KEYS =
    setOf(
        "kind", "sequence_length", "lowercase", "strip_accents", "split", "split_on_cjk", "suffix_indicator",
        "oov_token", "special_tokens_in_strings", "special_tokens", "truncate", "vocabulary_size",
        "vocabulary_sha256", "start_id", "end_id", "pad_id", "unknown_id",
    )

/** The further keys of a tokenizer with the rules of Hugging Face. */
private val RULES_KEYS = setOf("rules", "clean_text", "max_input_chars_per_word", "added_tokens")
private val GOLDEN_CASE_KEYS = setOf("text", "token_ids", "probabilities", "text_pair")
private val ENCODER_KEYS = setOf("lengths", "is_compiled", "parity", "mapping")

/** The further key of a file for the Coralboard: what its compiled part takes and gives. */
private const val TENSORS_KEY = "tensors"

/**
 * What the app has to know of the tokenizer, which is in the model.
 *
 * @property kind `builtin` for a model that takes text as bytes, which this app needs.
 * @property sequenceLength the longest row of token ids.
 * @property padId the id that the classifier masks.
 */
data class TokenizerSettings(
    val kind: String,
    val sequenceLength: Int,
    val padId: Int,
    val vocabularySize: Int,
    val vocabularySha256: String,
)

/** A text, or a pair of them, with the token ids and probabilities of the Keras classifier. */
class GoldenCase(val text: String, val textPair: String?, val tokenIds: IntArray, val probabilities: DoubleArray)

/** The rule by which a text has none of the labels: its `unknown_score` is greater than the threshold. */
data class UnknownRule(val label: String, val threshold: Double)

/**
 * What `edgedistil.json` says, as far as the app reads it.
 *
 * @property labels in the order of the probabilities.
 * @property scheme the quantization.
 * @property target `cpu`, `gpu`, `edgetpu` or `coralboard`.
 * @property tolerance the largest difference of a probability that a replay may show.
 * @property hiddenDim the width of the embeddings.
 * @property unknownRule null for a file that recognizes no texts with none of its labels.
 * @property hasFixedLengths true for a file with signatures of fixed shapes, `--fixed-lengths`.
 * @property encoderLengths token counts of the part for an accelerator, ascending; null where there is none.
 */
class Metadata(
    val name: String,
    val labels: List<String>,
    val tokenizer: TokenizerSettings,
    val scheme: String,
    val target: String,
    val goldenCases: List<GoldenCase>,
    val tolerance: Double,
    val hiddenDim: Int,
    val encoderLengths: IntArray?,
    val isEncoderCompiled: Boolean,
    val flatbufferSize: Int,
    val flatbufferSha256: String,
    val unknownRule: UnknownRule? = null,
    val hasFixedLengths: Boolean = false,
) {
    companion object {
        /** @throws ArtifactException the document is not metadata of schema version 1. */
        fun parse(document: ByteArray): Metadata {
            val data = parseJson(document, METADATA_MEMBER)
            val version = (data as? Map<*, *>)?.get("schema_version")
            if (version != SCHEMA_VERSION) {
                throw ArtifactException(
                    "The file has the schema version ${version ?: "unknown"}; this app reads $SCHEMA_VERSION.",
                )
            }
            return metadata(JsonFields(data, METADATA_MEMBER, METADATA_KEYS))
        }
    }
}

private fun metadata(fields: JsonFields): Metadata {
    val labels = fields.distinctStrings("labels")
    val tokenizer = tokenizer(fields.any("tokenizer"))
    val target = fields.oneOf("target", setOf("cpu", "gpu", "edgetpu", "coralboard"))
    val encoderKeys = if (target == "coralboard") ENCODER_KEYS + TENSORS_KEY else ENCODER_KEYS
    val encoder = fields.any("encoder")?.let { JsonFields(it, "$METADATA_MEMBER: encoder", encoderKeys) }
    if ((encoder == null) != (target == "cpu")) throw fields.invalid("encoder", "null for the target cpu alone")
    return Metadata(
        name = fields.string("name"),
        labels = labels,
        tokenizer = tokenizer,
        scheme = fields.mapping("quantization")["scheme"] as? String ?: throw fields.invalid("quantization", "a plan"),
        target = target,
        goldenCases =
            fields.array("golden_cases").mapIndexed { number, case ->
                goldenCase(case, number, tokenizer, labels.size)
            },
        tolerance = fields.fraction("tolerance"),
        hiddenDim = (fields.mapping("model")["hidden_dim"] as? Long)?.toInt() ?: 0,
        encoderLengths = encoder?.let { lengths(it, tokenizer.sequenceLength) },
        isEncoderCompiled = encoder?.boolean("is_compiled") ?: false,
        flatbufferSize = fields.integer("flatbuffer_size", least = 8),
        flatbufferSha256 = fields.string("flatbuffer_sha256"),
        unknownRule = unknownRule(fields, labels),
        hasFixedLengths = "fixed_lengths" in fields.mapping("preparation"),
    )
}

private fun unknownRule(fields: JsonFields, labels: List<String>): UnknownRule? {
    val preparation = fields.mapping("preparation")
    if ("unknown_texts" !in preparation) return null
    val rule = preparation["unknown_texts"] as? Map<*, *>
    val label = rule?.get("label") as? String
    val threshold = (rule?.get("threshold") as? Number)?.toDouble()
    if (label.isNullOrEmpty() || label in labels || threshold == null || !threshold.isFinite()) {
        throw fields.invalid("preparation", "an object whose unknown_texts has a label that is not in labels, and a threshold")
    }
    return UnknownRule(label, threshold)
}

private fun tokenizer(data: Any?): TokenizerSettings {
    val hasRules = (data as? Map<*, *>)?.containsKey("rules") == true
    val keys = if (hasRules) TOKENIZER_KEYS + RULES_KEYS else TOKENIZER_KEYS
    val fields = JsonFields(data, "$METADATA_MEMBER: tokenizer", keys)
    val vocabularySize = fields.integer("vocabulary_size", least = 1)
    return TokenizerSettings(
        kind = fields.oneOf("kind", setOf("builtin", "tftext", "none")),
        sequenceLength = fields.integer("sequence_length", least = 1),
        padId = fields.integer("pad_id", most = vocabularySize - 1),
        vocabularySize = vocabularySize,
        vocabularySha256 = fields.string("vocabulary_sha256"),
    )
}

private fun goldenCase(data: Any?, number: Int, tokenizer: TokenizerSettings, numClasses: Int): GoldenCase {
    val fields = JsonFields(data, "$METADATA_MEMBER: golden_cases[$number]", GOLDEN_CASE_KEYS)
    return GoldenCase(
        text = fields.string("text"),
        textPair = fields.optionalString("text_pair"),
        tokenIds = fields.integers("token_ids", below = tokenizer.vocabularySize),
        probabilities = fields.probabilities("probabilities", numClasses),
    )
}

private fun lengths(fields: JsonFields, longest: Int): IntArray {
    val lengths = fields.integers("lengths", below = longest + 1)
    val isAscending = lengths.toList() == lengths.toSortedSet().toList()
    if (!isAscending || lengths.first() < 1 || lengths.last() != longest) {
        throw fields.invalid("lengths", "ascending numbers from 1 to the sequence length, $longest")
    }
    return lengths
}
