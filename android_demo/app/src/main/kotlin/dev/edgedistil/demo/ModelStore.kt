package dev.edgedistil.demo

import android.content.Context
import android.net.Uri
import dev.edgedistil.core.Artifact
import dev.edgedistil.core.ArtifactException
import dev.edgedistil.core.CrashMarker
import dev.edgedistil.core.Processor
import dev.edgedistil.core.TextModel
import dev.edgedistil.core.TwoPartModel
import dev.edgedistil.core.VerifiedModel
import dev.edgedistil.core.openVerified
import java.io.File
import java.io.FileNotFoundException
import java.io.InputStream

/** The model that is built into the app; `edgedistil convert` writes it. */
const val MODEL_ASSET = "smart_home.tflite"

/** Copies models into the app's own folder, where LiteRT and this app can read any part of them, and opens them. */
class ModelStore(private val context: Context) {
    private val builtIn = File(context.filesDir, "built_in.tflite")
    private val picked = File(context.filesDir, "picked.tflite")
    private val marker = CrashMarker(File(context.filesDir, "gpu_is_tried"))

    /** The model that the app brings; copied after an installation or update. */
    fun builtIn(): Artifact {
        val installed = context.packageManager.getPackageInfo(context.packageName, 0).lastUpdateTime
        if (builtIn.lastModified() <= installed) install(builtIn) { context.assets.open(MODEL_ASSET) }
        return Artifact.read(builtIn)
    }

    /** The model that was picked last, or the built-in one where there is none. */
    fun picked(): Artifact = if (picked.exists()) Artifact.read(picked) else builtIn()

    /** Takes a picked file over if it is a sound artefact; else the one before it stays. */
    fun pick(uri: Uri): Artifact {
        install(picked) { context.contentResolver.openInputStream(uri) ?: throw FileNotFoundException(uri.toString()) }
        return Artifact.read(picked)
    }

    /** Opens an artefact where it is wanted, or on the CPU, and replays its golden cases. */
    fun open(artifact: Artifact, wanted: Processor): VerifiedModel =
        openVerified(artifact.metadata, wanted, marker) { processor ->
            when (processor) {
                Processor.CPU -> CompiledTextModel(artifact.file, artifact.metadata.unknownRule != null)
                Processor.GPU -> openOnGpu(artifact)
            }
        }

    private fun openOnGpu(artifact: Artifact): TextModel {
        val part = File(context.cacheDir, "encoder.tflite")
        part.delete() // not written over: a model that is still open may have it mapped
        artifact.copyEncoder(part)
        val metadata = artifact.metadata
        val lengths = metadata.encoderLengths ?: throw ArtifactException("The model has no part for a GPU.")
        val encoder = GpuEncoder(part)
        try {
            val host =
                if (metadata.hasFixedLengths) FixedHost(artifact.file) else CpuHost(artifact.file, metadata.hiddenDim)
            return TwoPartModel(host, encoder, lengths, metadata.tokenizer.padId)
        } catch (error: Exception) {
            encoder.close()
            throw error
        }
    }

    private fun install(target: File, open: () -> InputStream) {
        val incoming = File(context.cacheDir, "incoming.tflite")
        open().use { source -> incoming.outputStream().use { source.copyTo(it) } }
        Artifact.read(incoming) // throws before the old file is replaced
        if (!incoming.renameTo(target)) incoming.copyTo(target, overwrite = true)
    }
}
