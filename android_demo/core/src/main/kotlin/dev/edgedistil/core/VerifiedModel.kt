package dev.edgedistil.core

import java.io.File

/** What runs a model. */
enum class Processor { CPU, GPU }

/**
 * A model that reproduced its golden cases on this device.
 *
 * @property fallbackReason why it does not run where it was wanted; null if it does.
 */
class VerifiedModel(
    val metadata: Metadata,
    val model: TextModel,
    val processor: Processor,
    val replay: Replay,
    val fallbackReason: String?,
) : AutoCloseable {
    override fun close() = model.close()
}

/** A file that is there while a GPU is tried: a driver that ends the process leaves it behind. */
class CrashMarker(private val file: File) {
    val isSet get() = file.exists()

    fun set() {
        file.writeText("")
    }

    fun clear() {
        file.delete()
    }
}

/**
 * Opens a model where it is wanted, and replays its golden cases before anybody sees an answer.
 *
 * A GPU can fail, compute something else without an error, or take the process down. The first two lead to the CPU, and
 * so does the third, when the app is started again. A CPU that fails is an error.
 *
 * @param open opens the model on a processor; what it throws is the reason for a fallback.
 * @throws GoldenMismatch the CPU computes something else than the Keras classifier.
 * @throws ArtifactException the model does not take text as bytes.
 */
fun openVerified(
    metadata: Metadata,
    wanted: Processor,
    marker: CrashMarker,
    open: (Processor) -> TextModel,
): VerifiedModel {
    if (metadata.tokenizer.kind != "builtin") {
        throw ArtifactException(
            "The model's tokenizer is ${metadata.tokenizer.kind}; this app needs `--tokenizer builtin`. Convert again.",
        )
    }
    val reason =
        when {
            wanted == Processor.CPU -> null
            marker.isSet -> "it ended the app the last time it was tried."
            else -> {
                marker.set()
                try {
                    return verified(metadata, Processor.GPU, null, open)
                } catch (error: Exception) {
                    error.message ?: error.toString()
                } catch (error: LinkageError) { // a library that this device does not have
                    error.message ?: error.toString()
                } finally {
                    marker.clear()
                }
            }
        }
    marker.clear()
    return verified(metadata, Processor.CPU, reason, open)
}

private fun verified(
    metadata: Metadata,
    processor: Processor,
    reason: String?,
    open: (Processor) -> TextModel,
): VerifiedModel {
    val model = open(processor)
    try {
        return VerifiedModel(metadata, model, processor, replayGoldenCases(metadata, model), reason)
    } catch (error: Exception) {
        model.close()
        throw error
    }
}
