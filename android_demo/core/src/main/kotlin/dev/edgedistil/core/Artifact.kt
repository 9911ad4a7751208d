package dev.edgedistil.core

import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.security.MessageDigest

/** A file is no sound EdgeDistil artefact; the message says why and what to do. */
class ArtifactException(message: String, cause: Throwable? = null) : Exception(message, cause)

private const val METADATA_MEMBER = "edgedistil.json"
private const val LABELS_MEMBER = "labels.txt"
private const val VOCABULARY_MEMBER = "vocab.txt"
private const val ENCODER_MEMBER = "encoder.tflite"
private const val VMFB_MEMBER = "encoder.vmfb"

/** Targets that have a compiler, and the member that it makes. */
private val COMPILED_MEMBERS = mapOf("edgetpu" to "encoder_edgetpu.tflite", "coralboard" to VMFB_MEMBER)
private const val BLOCK = 1 shl 16
private val FILE_IDENTIFIER = "TFL3".encodeToByteArray() // bytes 4 to 8 of every TFLite flatbuffer

/**
 * A `.tflite` file that EdgeDistil wrote, found intact: a TFLite flatbuffer with a ZIP archive behind it, which holds
 * the labels, the settings and the golden cases.
 *
 * @property encoder where the part for a GPU stands in [file]; null where there is none.
 */
class Artifact private constructor(val file: File, val metadata: Metadata, val encoder: Span?) {
    /** Writes the part for a GPU into a file of its own, which is what LiteRT loads. */
    fun copyEncoder(target: File) {
        val (offset, size) = encoder ?: throw ArtifactException(withoutEncoder())
        RandomAccessFile(file, "r").use { source ->
            source.seek(offset)
            target.outputStream().use { output ->
                val block = ByteArray(BLOCK)
                var left = size
                while (left > 0) {
                    val count = minOf(left, BLOCK.toLong()).toInt()
                    source.readFully(block, 0, count)
                    output.write(block, 0, count)
                    left -= count
                }
            }
        }
    }

    private fun withoutEncoder() =
        "The model has no part for a GPU: it was converted for the target ${metadata.target}. Convert it again with " +
            "`--target gpu`."

    companion object {
        /**
         * Reads every byte of [file] once and proves that it arrived whole.
         *
         * @throws ArtifactException it is no such file, or it is damaged, or its parts contradict one another.
         */
        fun read(file: File): Artifact =
            try {
                RandomAccessFile(file, "r").use { read(it, file) }
            } catch (error: IOException) {
                throw ArtifactException("The model file cannot be read: ${error.message}.", error)
            }

        private fun read(content: RandomAccessFile, file: File): Artifact {
            if (!isFlatbuffer(content, 0)) {
                throw ArtifactException("This is no TFLite model: it has not TFL3 at bytes 4 to 8.")
            }
            val archive =
                readArchive(
                    content,
                    names = setOf(METADATA_MEMBER, LABELS_MEMBER, VOCABULARY_MEMBER),
                    stored = setOf(ENCODER_MEMBER) + COMPILED_MEMBERS.values,
                )
            val metadata = Metadata.parse(archive.members.getValue(METADATA_MEMBER))
            check(metadata, archive)
            archive.spans.forEach { (name, span) ->
                if (name != VMFB_MEMBER && !isFlatbuffer(content, span.offset)) throw ArtifactException("$name is no TFLite model.")
            }
            return Artifact(file, metadata, archive.spans[ENCODER_MEMBER])
        }

        private fun check(metadata: Metadata, archive: TrailingArchive) {
            if (metadata.flatbufferSize.toLong() != archive.start || metadata.flatbufferSha256 != archive.frontSha256) {
                throw ArtifactException("The model is not the one that $METADATA_MEMBER describes. Convert again.")
            }
            val labels = metadata.labels.joinToString("") { "$it\n" }
            if (!archive.members.getValue(LABELS_MEMBER).contentEquals(labels.encodeToByteArray())) {
                throw ArtifactException("$LABELS_MEMBER and $METADATA_MEMBER name different labels. Convert again.")
            }
            val vocabulary = archive.members.getValue(VOCABULARY_MEMBER)
            val lines = vocabulary.count { it == '\n'.code.toByte() }
            val due = metadata.tokenizer
            if (due.vocabularySha256 != sha256(vocabulary) || due.vocabularySize != lines) {
                throw ArtifactException("$VOCABULARY_MEMBER is not the one that $METADATA_MEMBER describes.")
            }
            val parts =
                setOfNotNull(
                    ENCODER_MEMBER.takeIf { metadata.encoderLengths != null },
                    COMPILED_MEMBERS[metadata.target].takeIf { metadata.isEncoderCompiled },
                )
            if (archive.spans.keys != parts) {
                throw ArtifactException("$METADATA_MEMBER describes a file with the parts $parts. Convert again.")
            }
        }

        private fun isFlatbuffer(content: RandomAccessFile, offset: Long): Boolean {
            if (content.length() < offset + 8) return false
            val identifier = ByteArray(FILE_IDENTIFIER.size)
            content.seek(offset + 4)
            content.readFully(identifier)
            return identifier.contentEquals(FILE_IDENTIFIER)
        }

        private fun sha256(bytes: ByteArray) = MessageDigest.getInstance("SHA-256").digest(bytes).hex()
    }
}
