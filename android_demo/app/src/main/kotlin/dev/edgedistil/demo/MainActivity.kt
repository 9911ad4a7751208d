package dev.edgedistil.demo

import android.os.Bundle
import androidx.activity.ComponentActivity
import androidx.activity.compose.setContent
import androidx.activity.enableEdgeToEdge
import androidx.activity.viewModels
import androidx.compose.runtime.getValue
import androidx.lifecycle.compose.collectAsStateWithLifecycle
import dev.edgedistil.demo.ui.ClassifierActions
import dev.edgedistil.demo.ui.ClassifierScreen
import dev.edgedistil.demo.ui.EdgeDistilTheme

/** The one screen: type a text, see its label. */
class MainActivity : ComponentActivity() {
    private val viewModel: ClassifierViewModel by viewModels()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        enableEdgeToEdge()
        val actions =
            ClassifierActions(
                setText = viewModel::setTextTo,
                useGpu = viewModel::useGpu,
                useBuiltIn = viewModel::useBuiltIn,
                pick = viewModel::pick,
            )
        setContent {
            EdgeDistilTheme {
                val state by viewModel.state.collectAsStateWithLifecycle()
                ClassifierScreen(viewModel.text, state, actions)
            }
        }
    }
}
