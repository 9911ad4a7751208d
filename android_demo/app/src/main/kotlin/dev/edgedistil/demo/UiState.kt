package dev.edgedistil.demo

import dev.edgedistil.core.Processor
import dev.edgedistil.core.Replay
import dev.edgedistil.core.Score

/** The model that is loaded, and how its golden cases went. */
data class LoadedModel(
    val name: String,
    val processor: Processor,
    val replay: Replay,
    val fallbackReason: String?,
)

/**
 * What the model says of a text: every label, best first.
 *
 * @property unknown the model's name for texts with none of its labels, if this is one.
 */
data class Answer(
    val scores: List<Score>,
    val milliseconds: Double,
    val isTextCut: Boolean,
    val unknown: String? = null,
)

/** All that the screen shows, but for the text. */
data class UiState(
    val isLoading: Boolean = true,
    val isGpuWanted: Boolean = false,
    val model: LoadedModel? = null,
    val answer: Answer? = null,
    val error: String? = null,
)
