package dev.edgedistil.demo

import android.app.Application
import android.net.Uri
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.SavedStateHandle
import androidx.lifecycle.viewModelScope
import dev.edgedistil.core.Artifact
import dev.edgedistil.core.Processor
import dev.edgedistil.core.VerifiedModel
import dev.edgedistil.core.classify
import java.util.concurrent.Executors
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Job
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

private const val TEXT = "text"
private const val IS_GPU_WANTED = "is_gpu_wanted"
private const val IS_PICKED = "is_picked"
private const val TYPING_PAUSE = 120L // ms
private const val NANOS_PER_MILLI = 1e6

/**
 * Holds the model and the text. The text, the switch and which model it is survive the end of the process; the model is
 * loaded again.
 */
class ClassifierViewModel(application: Application, private val saved: SavedStateHandle) :
    AndroidViewModel(application) {
    private val store = ModelStore(application)
    private val worker = Executors.newSingleThreadExecutor().asCoroutineDispatcher() // a model runs one text at a time
    private var verified: VerifiedModel? = null // touched by the worker alone
    private var loading: Job? = null
    private var classifying: Job? = null

    private val mutableState = MutableStateFlow(UiState(isGpuWanted = saved[IS_GPU_WANTED] ?: false))
    val state: StateFlow<UiState> = mutableState.asStateFlow()

    var text by mutableStateOf(saved[TEXT] ?: "")
        private set

    init {
        reload()
    }

    fun setTextTo(value: String) {
        text = value
        saved[TEXT] = value
        classify()
    }

    fun useGpu(isWanted: Boolean) {
        wantGpu(isWanted)
        reload()
    }

    fun useBuiltIn() = load(isPicked = false, store::builtIn)

    fun pick(uri: Uri) = load(isPicked = true) { store.pick(uri) }

    private fun reload() {
        val isPicked: Boolean = saved[IS_PICKED] ?: false
        load(isPicked, if (isPicked) store::picked else store::builtIn)
    }

    private fun wantGpu(isWanted: Boolean) {
        saved[IS_GPU_WANTED] = isWanted
        mutableState.update { it.copy(isGpuWanted = isWanted) }
    }

    private fun load(isPicked: Boolean, find: () -> Artifact) {
        loading?.cancel()
        classifying?.cancel()
        loading =
            viewModelScope.launch {
                mutableState.update { it.copy(isLoading = true, error = null) }
                val wanted = if (mutableState.value.isGpuWanted) Processor.GPU else Processor.CPU
                val isLoaded =
                    attempt {
                        withContext(worker) { replaceModel(find(), wanted) }
                        saved[IS_PICKED] = isPicked
                        // So that a GPU that ends the process is tried again by hand alone.
                        if (mutableState.value.model?.fallbackReason != null) wantGpu(false)
                    }
                mutableState.update { it.copy(isLoading = false) }
                if (isLoaded) classify() // else the error stays until something is typed
            }
    }

    private fun replaceModel(artifact: Artifact, wanted: Processor) {
        val opened = store.open(artifact, wanted)
        verified?.close()
        verified = opened
        val model = LoadedModel(opened.metadata.name, opened.processor, opened.replay, opened.fallbackReason)
        mutableState.update { it.copy(model = model, answer = null) }
    }

    private fun classify() {
        classifying?.cancel()
        classifying =
            viewModelScope.launch {
                delay(TYPING_PAUSE)
                val current = text
                attempt {
                    val answer = withContext(worker) { if (current.isBlank()) null else answer(current) }
                    mutableState.update { if (it.model == null) it else it.copy(answer = answer, error = null) }
                }
            }
    }

    private fun answer(text: String): Answer? {
        val start = System.nanoTime()
        val found = verified?.classify(text) ?: return null
        return Answer(found.scores, (System.nanoTime() - start) / NANOS_PER_MILLI, found.isCut, found.unknown)
    }

    /** Does something, and returns whether it went well; what went wrong is shown. */
    private suspend fun attempt(action: suspend () -> Unit): Boolean {
        try {
            action()
            return true
        } catch (error: CancellationException) {
            throw error
        } catch (error: Exception) {
            mutableState.update { it.copy(error = error.message ?: error.toString(), answer = null) }
        } catch (error: LinkageError) { // LiteRT has no library for this device's processor
            mutableState.update { it.copy(error = error.toString(), answer = null) }
        }
        return false
    }

    override fun onCleared() {
        worker.executor.execute { verified?.close() } // behind what still runs
        worker.close()
    }
}
