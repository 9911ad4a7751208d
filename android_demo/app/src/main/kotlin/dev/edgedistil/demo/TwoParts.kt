package dev.edgedistil.demo

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import dev.edgedistil.core.Encoder
import dev.edgedistil.core.EncoderInputs
import dev.edgedistil.core.Host
import dev.edgedistil.core.TextRow
import java.io.File
import java.nio.FloatBuffer
import org.tensorflow.lite.Interpreter

private const val TOKEN_IDS = "token_ids"
private const val EMBEDDINGS = "embeddings"
private const val ATTENTION_BIAS = "attention_bias"

/**
 * Token ids and embeddings on the CPU.
 *
 * `embed` runs in LiteRT's `Interpreter`, which resizes an input to the array that it is given: the encoder has several
 * lengths, and the Kotlin `CompiledModel` of LiteRT 2.2 keeps one. Without XNNPACK it does not pack the weights of the
 * whole model a second time, of which `embed` needs none.
 *
 * @param width of the embeddings.
 */
class CpuHost(file: File, private val width: Int) : Host {
    private val tokenizer = CompiledTextModel(file)
    private val interpreter = Interpreter(file, Interpreter.Options().setUseXNNPACK(false))

    override fun tokenIds(text: TextRow, textPair: TextRow?) = tokenizer.tokenIds(text, textPair)

    override fun embed(tokenIds: IntArray): EncoderInputs {
        val embeddings = FloatBuffer.allocate(tokenIds.size * width)
        val attentionBias = FloatBuffer.allocate(tokenIds.size)
        interpreter.runSignature(
            mapOf(TOKEN_IDS to arrayOf(tokenIds)),
            mapOf(EMBEDDINGS to embeddings, ATTENTION_BIAS to attentionBias),
            "embed",
        )
        return EncoderInputs(embeddings.array(), attentionBias.array())
    }

    override fun close() {
        interpreter.close()
        tokenizer.close()
    }
}

/**
 * Token ids and embeddings on the CPU, of a file with `--fixed-lengths`: one `CompiledModel` runs both, because `embed_N`
 * has a fixed shape for each of the encoder's lengths, and nothing is resized.
 */
class FixedHost(file: File) : Host {
    private val tokenizer = CompiledTextModel(file)
    private val buffers = mutableMapOf<String, Buffers>()

    override fun tokenIds(text: TextRow, textPair: TextRow?) = tokenizer.tokenIds(text, textPair)

    override fun embed(tokenIds: IntArray): EncoderInputs {
        val signature = "embed_${tokenIds.size}"
        val own =
            buffers.getOrPut(signature) {
                Buffers(tokenizer.model, signature, listOf(TOKEN_IDS), listOf(EMBEDDINGS, ATTENTION_BIAS))
            }
        own.inputs.getValue(TOKEN_IDS).writeInt(tokenIds)
        tokenizer.model.run(own.inputs, own.outputs, signature)
        return EncoderInputs(
            own.outputs.getValue(EMBEDDINGS).readFloat(),
            own.outputs.getValue(ATTENTION_BIAS).readFloat(),
        )
    }

    override fun close() {
        buffers.values.forEach { it.close() }
        tokenizer.close()
    }
}

/** The encoder on the GPU, computed in float32: a phone's float16 would be outside of most files' tolerance. */
class GpuEncoder(file: File) : Encoder {
    private val buffers = mutableMapOf<String, Buffers>()
    private val model =
        CompiledModel.create(
            file.path,
            CompiledModel.Options(Accelerator.GPU).apply {
                gpuOptions = CompiledModel.GpuOptions(precision = CompiledModel.GpuOptions.Precision.FP32)
            },
            null,
        )

    override fun probabilities(length: Int, inputs: EncoderInputs): FloatArray {
        val signature = "classify_embeddings_$length"
        val own =
            buffers.getOrPut(signature) {
                Buffers(model, signature, listOf(EMBEDDINGS, ATTENTION_BIAS), listOf("probabilities"))
            }
        own.inputs.getValue(EMBEDDINGS).writeFloat(inputs.embeddings)
        own.inputs.getValue(ATTENTION_BIAS).writeFloat(inputs.attentionBias)
        model.run(own.inputs, own.outputs, signature)
        return own.outputs.values.single().readFloat()
    }

    override fun close() {
        buffers.values.forEach { it.close() }
        model.close()
    }
}

/** The inputs and outputs of a signature, by name. */
private class Buffers(model: CompiledModel, signature: String, inputs: List<String>, outputs: List<String>) :
    AutoCloseable {
    val inputs: Map<String, TensorBuffer> = inputs.associateWith { model.createInputBuffer(it, signature) }
    val outputs: Map<String, TensorBuffer> = outputs.associateWith { model.createOutputBuffer(it, signature) }

    override fun close() {
        (inputs.values + outputs.values).forEach { it.close() }
    }
}
