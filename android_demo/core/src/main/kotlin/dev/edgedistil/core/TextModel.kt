package dev.edgedistil.core

/** Whatever turns text into token ids and probabilities: LiteRT in the app, a fake in the tests. */
interface TextModel : AutoCloseable {
    /** The token ids of a text, or of two. */
    fun tokenIds(text: TextRow, textPair: TextRow? = null): IntArray

    /** A probability for each label. */
    fun probabilities(text: TextRow, textPair: TextRow? = null): FloatArray

    /** The `unknown_score` of the text that was run last; null for a model without that output. */
    val unknownScore: Float? get() = null
}

/** What an encoder takes: float32[1, length, width] and float32[1, 1, 1, length]. */
class EncoderInputs(val embeddings: FloatArray, val attentionBias: FloatArray)

/** The part of a model that stays on the CPU. */
interface Host : AutoCloseable {
    fun tokenIds(text: TextRow, textPair: TextRow?): IntArray

    /** @param tokenIds padded to one of the encoder's lengths. */
    fun embed(tokenIds: IntArray): EncoderInputs
}

/** The part of a model that an accelerator runs. */
interface Encoder : AutoCloseable {
    /** @param length of the padded row, one of the encoder's. */
    fun probabilities(length: Int, inputs: EncoderInputs): FloatArray
}

/**
 * A host on the CPU and an encoder on an accelerator, as one model.
 *
 * A GPU takes floats and fixed shapes. So the host makes token ids and embeddings, and the row of ids is padded to the
 * shortest length that the encoder has.
 *
 * @param lengths token counts that the encoder takes, ascending.
 */
class TwoPartModel(
    private val host: Host,
    private val encoder: Encoder,
    private val lengths: IntArray,
    private val padId: Int,
) : TextModel {
    override fun tokenIds(text: TextRow, textPair: TextRow?) = host.tokenIds(text, textPair)

    override fun probabilities(text: TextRow, textPair: TextRow?): FloatArray {
        val tokenIds = tokenIds(text, textPair)
        val length =
            requireNotNull(lengths.firstOrNull { it >= tokenIds.size }) {
                "The text has ${tokenIds.size} token ids; the encoder takes ${lengths.last()}."
            }
        val row = IntArray(length) { if (it < tokenIds.size) tokenIds[it] else padId }
        return encoder.probabilities(length, host.embed(row))
    }

    override fun close() {
        encoder.close()
        host.close()
    }
}
