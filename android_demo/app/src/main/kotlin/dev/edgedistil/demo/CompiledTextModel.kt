package dev.edgedistil.demo

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import dev.edgedistil.core.ROW_SIZE
import dev.edgedistil.core.TextModel
import dev.edgedistil.core.TextRow
import java.io.File

private const val NO_TOKEN = -1

/**
 * A whole artefact on the CPU: its signatures `classify_text` and `tokenize`, and those for pairs.
 *
 * @param hasUnknownScore the signatures that classify have the output `unknown_score`; LiteRT wants a buffer for each.
 */
class CompiledTextModel(file: File, private val hasUnknownScore: Boolean = false) : TextModel {
    internal val model = CompiledModel.create(file.path, CompiledModel.Options(Accelerator.CPU), null)
    private val inputs = mutableMapOf<String, Map<String, TensorBuffer>>()
    private val outputs = mutableMapOf<String, TensorBuffer>()
    override var unknownScore: Float? = null
        private set

    override fun probabilities(text: TextRow, textPair: TextRow?): FloatArray {
        val signature = if (textPair == null) "classify_text" else "classify_text_pair"
        val output = outputs.getOrPut(signature) { model.createOutputBuffer("probabilities", signature) }
        val score = if (hasUnknownScore) scoreBuffer(signature) else null
        val results = listOfNotNull("probabilities" to output, score?.let { "unknown_score" to it })
        run(signature, text, textPair, results.toMap())
        unknownScore = score?.readFloat()?.first()
        return output.readFloat()
    }

    /**
     * The number of token ids is known after the run alone, and LiteRT sizes an output before it. So the output here is
     * a second buffer of the input's kind, int32[ROW_SIZE], which holds all ids that MAX_TEXT_BYTES can become.
     */
    override fun tokenIds(text: TextRow, textPair: TextRow?): IntArray {
        val signature = if (textPair == null) "tokenize" else "tokenize_pair"
        val output = outputs.getOrPut(signature) { model.createInputBuffer("text", signature) }
        output.writeInt(IntArray(ROW_SIZE) { NO_TOKEN })
        run(signature, text, textPair, mapOf("token_ids" to output))
        return output.readInt().takeWhile { it != NO_TOKEN }.toIntArray()
    }

    private fun run(signature: String, text: TextRow, textPair: TextRow?, results: Map<String, TensorBuffer>) {
        val rows = if (textPair == null) mapOf("text" to text) else mapOf("text" to text, "text_pair" to textPair)
        val buffers = inputs.getOrPut(signature) { rows.mapValues { model.createInputBuffer(it.key, signature) } }
        rows.forEach { (name, row) -> buffers.getValue(name).writeInt(row.values) }
        model.run(buffers, results, signature)
    }

    private fun scoreBuffer(signature: String) =
        outputs.getOrPut("$signature/unknown_score") { model.createOutputBuffer("unknown_score", signature) }

    override fun close() {
        (inputs.values.flatMap { it.values } + outputs.values).forEach { it.close() }
        model.close()
    }
}
