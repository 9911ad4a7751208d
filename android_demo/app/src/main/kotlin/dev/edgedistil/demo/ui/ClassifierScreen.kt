package dev.edgedistil.demo.ui

import android.net.Uri
import androidx.activity.compose.rememberLauncherForActivityResult
import androidx.activity.result.contract.ActivityResultContracts
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.imePadding
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.foundation.selection.toggleable
import androidx.compose.material3.ExperimentalMaterial3Api
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Scaffold
import androidx.compose.material3.Switch
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.material3.TopAppBar
import androidx.compose.runtime.Composable
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.res.stringResource
import androidx.compose.ui.semantics.LiveRegionMode
import androidx.compose.ui.semantics.Role
import androidx.compose.ui.semantics.clearAndSetSemantics
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.heading
import androidx.compose.ui.semantics.liveRegion
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.unit.dp
import dev.edgedistil.core.MAX_TEXT_BYTES
import dev.edgedistil.core.Score
import dev.edgedistil.demo.Answer
import dev.edgedistil.demo.LoadedModel
import dev.edgedistil.demo.R
import dev.edgedistil.demo.UiState
import kotlin.math.roundToInt

private val ANY_FILE = arrayOf("*/*") // there is no media type for .tflite

/** What the screen can ask for. */
class ClassifierActions(
    val setText: (String) -> Unit,
    val useGpu: (Boolean) -> Unit,
    val useBuiltIn: () -> Unit,
    val pick: (Uri) -> Unit,
)

@OptIn(ExperimentalMaterial3Api::class)
@Composable
fun ClassifierScreen(text: String, state: UiState, actions: ClassifierActions) {
    Scaffold(
        modifier = Modifier.imePadding(),
        topBar = { TopAppBar(title = { Text(stringResource(R.string.app_name)) }) },
    ) { insets ->
        LazyColumn(
            modifier = Modifier.fillMaxSize().padding(insets),
            contentPadding = PaddingValues(16.dp),
            verticalArrangement = Arrangement.spacedBy(12.dp),
        ) {
            item { TextInput(text, actions.setText) }
            item { AnswerHead(text, state) }
            items(state.answer?.scores.orEmpty(), key = { it.label }) { ScoreBar(it) }
            item { GpuSwitch(state, actions.useGpu) }
            item { ModelButtons(state, actions) }
            item { ModelNote(state.model) }
        }
    }
}

@Composable
private fun TextInput(text: String, setText: (String) -> Unit) {
    OutlinedTextField(
        value = text,
        onValueChange = setText,
        modifier = Modifier.fillMaxWidth(),
        label = { Text(stringResource(R.string.text_label)) },
        minLines = 2,
    )
}

/** The best label, or why there is none; a screen reader says it when it changes. */
@Composable
private fun AnswerHead(text: String, state: UiState) {
    Column(Modifier.fillMaxWidth().semantics { liveRegion = LiveRegionMode.Polite }) {
        val answer = state.answer
        when {
            state.error != null -> Text(state.error, color = MaterialTheme.colorScheme.error)
            state.isLoading -> Text(stringResource(R.string.loading))
            answer == null -> if (text.isBlank()) Text(stringResource(R.string.empty_hint))
            else -> BestLabel(answer)
        }
    }
}

@Composable
private fun BestLabel(answer: Answer) {
    val best = answer.scores.first()
    Text(
        stringResource(R.string.answer, best.label, best.percent),
        modifier = Modifier.semantics { heading() },
        style = MaterialTheme.typography.headlineSmall,
    )
    Text(
        stringResource(R.string.milliseconds, answer.milliseconds),
        modifier = Modifier.clearAndSetSemantics {}, // it changes with every letter, and would be said each time
        style = MaterialTheme.typography.bodySmall,
    )
    answer.unknown?.let { Text(it, style = MaterialTheme.typography.bodySmall) }
    if (answer.isTextCut) {
        Text(stringResource(R.string.text_was_cut, MAX_TEXT_BYTES), color = MaterialTheme.colorScheme.error)
    }
}

@Composable
private fun ScoreBar(score: Score) {
    val description = stringResource(R.string.score_description, score.label, score.percent)
    Column(Modifier.fillMaxWidth().clearAndSetSemantics { contentDescription = description }) {
        Row(Modifier.fillMaxWidth(), horizontalArrangement = Arrangement.SpaceBetween) {
            Text(score.label, style = MaterialTheme.typography.bodyMedium)
            Text(stringResource(R.string.score, score.percent), style = MaterialTheme.typography.bodyMedium)
        }
        LinearProgressIndicator(progress = { score.probability }, modifier = Modifier.fillMaxWidth())
    }
}

/** The whole line is the switch, so that it is easy to hit and is read as one. */
@Composable
private fun GpuSwitch(state: UiState, useGpu: (Boolean) -> Unit) {
    Row(
        modifier =
            Modifier
                .fillMaxWidth()
                .toggleable(
                    value = state.isGpuWanted,
                    enabled = !state.isLoading,
                    role = Role.Switch,
                    onValueChange = useGpu,
                ).padding(vertical = 12.dp),
        horizontalArrangement = Arrangement.SpaceBetween,
        verticalAlignment = Alignment.CenterVertically,
    ) {
        Text(stringResource(R.string.use_gpu))
        Switch(checked = state.isGpuWanted, onCheckedChange = null, enabled = !state.isLoading)
    }
}

@Composable
private fun ModelButtons(state: UiState, actions: ClassifierActions) {
    val picker =
        rememberLauncherForActivityResult(ActivityResultContracts.OpenDocument()) { uri: Uri? ->
            if (uri != null) actions.pick(uri)
        }
    Row(horizontalArrangement = Arrangement.spacedBy(8.dp)) {
        TextButton(onClick = { picker.launch(ANY_FILE) }, enabled = !state.isLoading) {
            Text(stringResource(R.string.open_model))
        }
        TextButton(onClick = actions.useBuiltIn, enabled = !state.isLoading) {
            Text(stringResource(R.string.builtin_model))
        }
    }
}

@Composable
private fun ModelNote(model: LoadedModel?) {
    if (model == null) return
    Column(Modifier.semantics(mergeDescendants = true) {}, verticalArrangement = Arrangement.spacedBy(4.dp)) {
        val replay = model.replay
        val style = MaterialTheme.typography.bodySmall
        Text(stringResource(R.string.model_name, model.name), style = style)
        Text(
            stringResource(
                R.string.running_on,
                model.processor.name,
                replay.replayed,
                replay.total,
                replay.largestDifference,
            ),
            style = style,
        )
        if (model.fallbackReason != null) {
            Text(
                stringResource(R.string.fallback, model.fallbackReason),
                color = MaterialTheme.colorScheme.error,
                style = style,
            )
        }
    }
}

private val Score.percent get() = (probability * 100).roundToInt()
