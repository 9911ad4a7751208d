/**
 * The part of LiteRT's `Interpreter` that the app uses; it kept the package of TensorFlow Lite.
 *
 * After litert/kotlin/src/copied_from_tflite/java/org/tensorflow/lite/Interpreter.java in
 * https://github.com/google-ai-edge/LiteRT.
 */
package org.tensorflow.lite

import java.io.File

class Interpreter(modelFile: File, options: Options) : AutoCloseable {
    class Options {
        fun setUseXNNPACK(useXNNPACK: Boolean): Options = TODO()
    }

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, signatureKey: String): Unit = TODO()

    override fun close(): Unit = TODO()
}
